//! JSON objects of protobuf messages.

/// A message that becomes a JSON object.
pub(super) trait Write {
    /// Writes the message's fields.
    fn fields(&self, object: &mut Object<'_>);

    /// Appends the message as an object.
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        self.fields(&mut Object { out, empty: true });
        out.push(b'}');
    }
}

/// An object that is being written. Its methods leave out a default value unless their names have
/// `always`.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    pub(super) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text_always(key, text);
        }
    }

    pub(super) fn text_always(&mut self, key: &str, text: &str) {
        self.key(key);
        write_text(self.out, text);
    }

    pub(super) fn bool_always(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Writes a number of at most 32 bits.
    pub(super) fn int<T: itoa::Integer + Default + PartialEq>(&mut self, key: &str, number: T) {
        if number != T::default() {
            self.int_always(key, number);
        }
    }

    pub(super) fn int_always<T: itoa::Integer>(&mut self, key: &str, number: T) {
        self.key(key);
        write_int(self.out, number);
    }

    /// Writes a number of 64 bits.
    pub(super) fn long<T: itoa::Integer + Default + PartialEq>(&mut self, key: &str, number: T) {
        if number != T::default() {
            self.long_always(key, number);
        }
    }

    pub(super) fn long_always<T: itoa::Integer>(&mut self, key: &str, number: T) {
        self.key(key);
        write_long(self.out, number);
    }

    pub(super) fn double_always(&mut self, key: &str, number: f64) {
        self.key(key);
        let text = match number {
            _ if number.is_nan() => "\"NaN\"".to_owned(),
            f64::INFINITY => "\"Infinity\"".to_owned(),
            f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
            // Exponents keep the extremes short, and both forms are JSON.
            _ => format!("{number:?}"),
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn hex(&mut self, key: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.key(key);
            self.out.push(b'"');
            self.out.extend(bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]));
            self.out.push(b'"');
        }
    }

    pub(super) fn message<T: Write>(&mut self, key: &str, message: Option<&T>) {
        if let Some(message) = message {
            self.key(key);
            message.write(self.out);
        }
    }

    /// Writes an object that is no message of its own in Rust.
    pub(super) fn nested(&mut self, key: &str, fields: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        self.out.push(b'{');
        fields(&mut Object { out: self.out, empty: true });
        self.out.push(b'}');
    }

    pub(super) fn list<T: Write>(&mut self, key: &str, messages: &[T]) {
        self.array(key, messages, |out, message| message.write(out));
    }

    pub(super) fn texts(&mut self, key: &str, texts: &[String]) {
        self.array(key, texts, |out, text| write_text(out, text));
    }

    pub(super) fn ints(&mut self, key: &str, numbers: &[i32]) {
        self.array(key, numbers, |out, &number| write_int(out, number));
    }

    pub(super) fn longs<T: itoa::Integer + Copy>(&mut self, key: &str, numbers: &[T]) {
        self.array(key, numbers, |out, &number| write_long(out, number));
    }

    fn array<T>(&mut self, key: &str, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        let Some((first, rest)) = items.split_first() else { return };
        self.key(key);
        self.out.push(b'[');
        write(self.out, first);
        for item in rest {
            self.out.push(b',');
            write(self.out, item);
        }
        self.out.push(b']');
    }

    /// Writes a key. Keys are our own names and need no escape.
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

fn write_int<T: itoa::Integer>(out: &mut Vec<u8>, number: T) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_long<T: itoa::Integer>(out: &mut Vec<u8>, number: T) {
    out.push(b'"');
    write_int(out, number);
    out.push(b'"');
}

/// Appends a string. Runs that need no escape are copied whole.
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((&byte, after)) = special.split_first() {
            write_escape(out, byte);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\t' => out.extend_from_slice(b"\\t"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
}

/// Lower-case digit of the low four bits.
fn hex_digit(nibble: u8) -> u8 {
    match nibble & 15 {
        digit @ 0..10 => b'0' + digit,
        letter => b'a' + (letter - 10),
    }
}
