#!/usr/bin/env bash
# Checks that ebpf/ is formatted as ebpf/.clang-format says, and that each header compiles by itself: none may lean on
# what another file includes before it. `scripts/bpf-headers.sh --write` formats.
set -euo pipefail
cd "$(dirname "$0")/../ebpf"
# One version, since each formats a little differently.
format=clang-format-19
files=(*.c *.h include/*.h tests/*.c tests/stubs/bpf/*.h)
if [ "${1:-}" = --write ]; then
    exec "$format" -i "${files[@]}"
fi
"$format" --dry-run --Werror "${files[@]}"

clang=${CLANG:-$(command -v clang-19 || echo clang)}
arch=$(uname -m)
case $arch in
    x86_64) target=x86 ;;
    aarch64) target=arm64 ;;
    *) target=$arch ;;
esac
for header in *.h include/*.h; do
    echo "#include \"$header\"" |
        "$clang" -target bpf -fsyntax-only -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
            "-D__TARGET_ARCH_$target" "-I/usr/include/$arch-linux-gnu" -I. -x c - ||
        { echo "$header does not compile by itself" >&2; exit 1; }
done
