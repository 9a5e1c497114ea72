//! Files put together for tests: ELF64, little endian, x86-64.

/// Address of the code in memory, and its offset in the file.
pub(crate) const TEXT: u64 = 0x1000;
const TEXT_OFFSET: u64 = 0x200;
/// Address of the stubs, and of the slot that they jump through.
pub(crate) const PLT: u64 = TEXT + 0x1000;
const SLOT: u64 = 0x8000;
/// Address of the record of a Go program.
pub(crate) const MODULE: u64 = TEXT + 0x800;

/// A symbol.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
    pub(crate) size: u64,
    /// Binding in the upper four bits, type in the lower.
    pub(crate) info: u8,
    /// Index of the symbol's section: 1 is `.text`.
    pub(crate) section: u16,
}

pub(crate) const GLOBAL_FUNCTION: u8 = 0x12;
pub(crate) const WEAK_FUNCTION: u8 = 0x22;
pub(crate) const LOCAL_FUNCTION: u8 = 0x02;
pub(crate) const LOCAL_LABEL: u8 = 0x00;

pub(crate) fn symbol(name: &'static str, value: u64, size: u64, info: u8) -> Symbol {
    Symbol { name, value, size, info, section: 1 }
}

/// An ELF file that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) machine: u16,
    pub(crate) symtab: Vec<Symbol>,
    pub(crate) dynsym: Vec<Symbol>,
    /// Further sections by name, with their bytes.
    pub(crate) more: Vec<(&'static str, Vec<u8>)>,
    /// Bytes in the place of others of `.text`, by their address.
    pub(crate) patches: Vec<(u64, Vec<u8>)>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            machine: 62,
            symtab: vec![
                symbol("one", TEXT, 0x100, GLOBAL_FUNCTION),
                symbol("uno", TEXT, 0x100, GLOBAL_FUNCTION),
                symbol("label", TEXT + 0x200, 0, LOCAL_LABEL),
            ],
            dynsym: vec![Symbol { name: "malloc", value: 0, size: 0, info: GLOBAL_FUNCTION, section: 0 }],
            more: Vec::new(),
            patches: Vec::new(),
        }
    }
}

struct Header {
    name: &'static str,
    kind: u32,
    flags: u64,
    address: u64,
    bytes: Vec<u8>,
    link: u32,
}

impl File {
    pub(crate) fn build(&self) -> Vec<u8> {
        let (symtab, strtab) = table(&self.symtab);
        let (dynsym, dynstr) = table(&self.dynsym);
        // jmp *SLOT(%rip), in eight bytes of sixteen.
        let mut stub = vec![0xff, 0x25];
        stub.extend(i32::try_from(SLOT - (PLT + 6)).unwrap().to_le_bytes());
        stub.resize(16, 0x90);
        let mut relocation = SLOT.to_le_bytes().to_vec();
        relocation.extend((1u64 << 32 | 7).to_le_bytes());
        relocation.extend(0u64.to_le_bytes());
        let section =
            |name, kind, flags, address, bytes, link| Header { name, kind, flags, address, bytes, link };
        let mut text = vec![0x90; 0x1000];
        for (address, bytes) in &self.patches {
            let at = usize::try_from(address - TEXT).unwrap();
            text[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let mut sections = vec![
            section(".text", 1, 6, TEXT, text, 0),
            section(".plt", 1, 6, PLT, stub, 0),
            section(".symtab", 2, 0, 0, symtab, 4),
            section(".strtab", 3, 0, 0, strtab, 0),
            section(".dynsym", 11, 2, 0, dynsym, 6),
            section(".dynstr", 3, 2, 0, dynstr, 0),
            section(".rela.plt", 4, 2, 0, relocation, 5),
        ];
        let more = self.more.iter().map(|(name, bytes)| {
            // The one section that is looked for by its name and read by its address.
            let address = if *name == ".go.module" { MODULE } else { 0 };
            section(name, 1, 0, address, bytes.clone(), 0)
        });
        sections.extend(more);
        self.link(sections)
    }

    fn link(&self, mut sections: Vec<Header>) -> Vec<u8> {
        let mut names = vec![0];
        sections.push(Header {
            name: ".shstrtab",
            kind: 3,
            flags: 0,
            address: 0,
            bytes: Vec::new(),
            link: 0,
        });
        let offsets: Vec<u32> = sections
            .iter()
            .map(|section| {
                let at = u32::try_from(names.len()).unwrap();
                names.extend(section.name.bytes().chain([0]));
                at
            })
            .collect();
        sections.last_mut().unwrap().bytes = names;
        let mut out = vec![0u8; usize::try_from(TEXT_OFFSET).unwrap()];
        let mut headers = vec![0u8; 64];
        for (section, name) in sections.iter().zip(offsets) {
            let at = out.len() as u64;
            out.extend(&section.bytes);
            headers.extend(name.to_le_bytes());
            headers.extend(section.kind.to_le_bytes());
            for field in [section.flags, section.address, at, section.bytes.len() as u64] {
                headers.extend(field.to_le_bytes());
            }
            headers.extend(section.link.to_le_bytes());
            headers.extend([0u8; 20]);
        }
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &[3, 0]);
        put(18, &self.machine.to_le_bytes());
        put(20, &[1]);
        put(32, &64u64.to_le_bytes());
        put(52, &[64, 0, 56, 0, 1, 0, 64, 0]);
        put(60, &u16::try_from(sections.len() + 1).unwrap().to_le_bytes());
        put(62, &u16::try_from(sections.len()).unwrap().to_le_bytes());
        put(64, &[1, 0, 0, 0, 5, 0, 0, 0]);
        for (field, value) in [TEXT_OFFSET, TEXT, TEXT, 0x1010, 0x1010, 0x1000].into_iter().enumerate() {
            put(72 + field * 8, &value.to_le_bytes());
        }
        let at = out.len() as u64;
        out[40..48].copy_from_slice(&at.to_le_bytes());
        out.extend(headers);
        out
    }
}

/// The bytes of a symbol table and of its strings.
pub(crate) fn table(symbols: &[Symbol]) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut strings) = (vec![0u8; 24], vec![0u8]);
    for symbol in symbols {
        table.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
        table.extend([symbol.info, 0]);
        table.extend(symbol.section.to_le_bytes());
        table.extend(symbol.value.to_le_bytes());
        table.extend(symbol.size.to_le_bytes());
        strings.extend(symbol.name.bytes().chain([0]));
    }
    (table, strings)
}
