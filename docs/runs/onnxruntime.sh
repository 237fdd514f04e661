#!/usr/bin/env bash
# Makes emotion/assets/runtime/ from npm: ONNX Runtime for browsers, one thread or several, with SIMD;
# and the same with WebGPU, for browsers with JavaScript Promise Integration.
# The same release gives the same bytes; checksums.txt is theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
release=1.30.0
target=emotion/assets/runtime
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "onnxruntime-web@$release" && tar xzf onnxruntime-web-*.tgz)
mkdir -p "$target"
for name in ort.wasm.min.mjs ort-wasm-simd-threaded.{mjs,wasm} \
    ort.jspi.min.mjs ort-wasm-simd-threaded.jspi.{mjs,wasm}; do
    # What debuggers would look for is not here.
    if [[ $name == *.mjs ]]; then
        sed '/^\/\/# sourceMappingURL=/d' "$work/package/dist/$name"
    else
        cat "$work/package/dist/$name"
    fi | gzip -9 -n >"$target/$name.gz"
done
(cd "$target" && sha256sum ./*.gz | sed 's, \./, ,' >checksums.txt)
echo "onnxruntime-web $release in $target: $(du -cb "$target"/*.gz | tail -1 | cut -f1) bytes"
