#!/usr/bin/env bash
# fetch.sh FOLDER PATTERN: the newest kernel of Debian whose version and flavour match (an extended regular expression, from its beginning to its
# end but for `-amd64`). Prints the path of its vmlinuz, which is kept in FOLDER. Uses apt with lists of its own, so that this machine's stay as they are.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
pattern=$2
apt=$folder/apt
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
export APT_CONFIG=$apt/apt.conf

if [ -z "$(find "$apt/done" -mmin -720 2>/dev/null)" ]; then
    mkdir -p "$apt"/{lists,cache/archives}/partial "$apt"/etc/{apt.conf.d,preferences.d,sources.list.d}
    : >"$apt/status"
    for suite in bookworm bookworm-backports trixie-backports; do
        echo "deb [arch=amd64 signed-by=$keyring] http://deb.debian.org/debian $suite main"
    done >"$apt/etc/sources.list"
    echo "deb [arch=amd64 signed-by=$keyring] http://deb.debian.org/debian-security bookworm-security main" >>"$apt/etc/sources.list"
    cat >"$apt/apt.conf" <<EOF
Dir::State "$apt"; Dir::State::lists "$apt/lists"; Dir::State::status "$apt/status";
Dir::Cache "$apt/cache"; Dir::Etc "$apt/etc"; Dir::Etc::sourcelist "$apt/etc/sources.list";
APT::Sandbox::User "root"; APT::Architecture "amd64"; APT::Architectures {"amd64";}; Acquire::Languages "none";
// A machine whose clock is wrong, or a mirror that stands still, has good packages all the same.
Acquire::Check-Valid-Until "false"; Acquire::Check-Date "false";
EOF
    apt-get -qq update >&2
    touch "$apt/done"
fi

# From Linux 6.19 on the image is in linux-binary, and linux-image is empty; before that there is no linux-binary.
package=$(apt-cache pkgnames linux- | grep -E "^linux-(image|binary)-$pattern-amd64$" | grep -v unsigned \
    | sed -E 's/^linux-(image|binary)-(.*)$/\2 \1/' | sort -k1,1V -k2,2r | tail -1 | sed -E 's/^(.*) (.*)$/linux-\2-\1/')
[ -n "$package" ] || { echo "no kernel matches $pattern" >&2; exit 1; }
version=${package#linux-image-}
version=${version#linux-binary-}
binary=linux-binary-$version
if apt-cache show "$binary" >/dev/null 2>&1; then package=$binary; fi

kernel=$folder/${version%-amd64}.vmlinuz
if [ ! -s "$kernel" ]; then
    (cd "$folder" && rm -f ./"$package"_*.deb && apt-get -qq download "$package" >&2)
    dpkg-deb --fsys-tarfile "$folder/$package"_*.deb | tar -xO --wildcards '*/vmlinuz*' >"$kernel.part"
    mv "$kernel.part" "$kernel"
    rm -f "$folder/$package"_*.deb
fi
echo "$kernel"
