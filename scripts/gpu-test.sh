#!/usr/bin/env bash
# Tests on a GPU. Packing needs the build and no GPU; running needs a GPU and PyTorch with
# transformers and safetensors, and no build: pack here, carry the directory, run there.
#
# usage: scripts/gpu-test.sh [pack|run] [DIRECTORY]     both, on one machine, without a word
#
# The last line of a run is the verdict.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
action=${1:-both}
directory=${2:-$root/build/gpu-test}

families=(rows linear attention sanitized)
types=(bf16 f16)
# Name and options of every plan; each also with all nodes on one rank.
plans=(
  "single --comp 1 --attn 1x1"
  "figure --comp 4 --attn 4x4 --cluster 2 --period 7"
  "square --comp 4 --attn 2x2 --cluster 2 --period 7"
  "thirds --comp 3 --attn 3x2 --cluster 1 --period 3"
  "wide --comp 8 --attn 1x5 --cluster 3 --period 24"
)

# ptxas, asked once about the same PTX: the kernels of a model are those of all its plans.
assembler() { # $1: directory for its answers
  cat <<EOF
#!/usr/bin/env bash
# called as the compiler does: -arch=CHIP -v -O3 INPUT -o OUTPUT
set -euo pipefail
known=$1/\$(sha256sum "\$4" | cut -d ' ' -f 1)
[ -e "\$known.cubin" ] || { "$(command -v ptxas || echo "${CUDA_HOME:-/usr/local/cuda}/bin/ptxas")" "\$@" &>"\$known.log" && cp "\$6" "\$known.cubin"; } ||
  { cat "\$known.log"; exit 1; }
cat "\$known.log"
cp "\$known.cubin" "\$6"
EOF
}

pack() {
  "$root/scripts/setup.sh" rshard emit-kernels run-artifact rshard-example-attend attend-on-device
  rm -rf "$directory"
  mkdir -p "$directory/artifacts"
  cp -r "$root/test/golden" "$directory/models"
  cp "$root"/test/gpu/*.py "$root/examples/attention_program.py" "$root/build/bin/run-artifact" "$root/build/bin/attend-on-device" \
    "$root/build/examples/rshard-example-attend" "$root/scripts/gpu-test.sh" "$directory"
  for family in "${families[@]}"; do
    python3 "$root/test/gpu/test_$family.py" requests >"$directory/$family.json"
    "$root/build/bin/emit-kernels" "$directory/$family.json" "$directory/$family"
  done
  local model program plan name options type ranks scratch
  scratch=$(mktemp -d)
  assembler "$scratch" >"$scratch/ptxas"
  chmod +x "$scratch/ptxas"
  for model in "$root"/test/golden/*/; do
    for plan in "${plans[@]}"; do
      read -r name options <<<"$plan"
      for type in "${types[@]}"; do
        for ranks in one apart; do
          # shellcheck disable=SC2086 # options are words
          "$root/build/bin/rshard" compile "$model" --target cuda --ptxas "$scratch/ptxas" --activations "$type" $options \
            $([ $ranks = apart ] || echo --ranks 1) \
            -o "$directory/artifacts/$(basename "$model").$name-$ranks.$type.rshard"
        done
      done
    done
  done
  mkdir "$directory/entry"
  python3 "$root/test/gpu/test_entry.py" modules "$scratch"
  for program in "$scratch"/*.mlir; do
    for plan in "${plans[@]}"; do
      read -r name options <<<"$plan"
      for type in "${types[@]}"; do
        # shellcheck disable=SC2086 # options are words
        "$root/build/bin/rshard" compile "$program" --target cuda --ptxas "$scratch/ptxas" --activations "$type" $options \
          -o "$directory/entry/$(basename "$program" .mlir).$name.$type.rshard"
      done
    done
  done
  rm -rf "$scratch"
}

status=0 passed=0 failed=0

# Runs one test, which ends with "N passed, N failed".
count() { # $1: title, rest: command
  local log title=$1
  shift
  log=$(mktemp)
  echo "== $title"
  "$@" 2>&1 | tee "$log" || status=1
  if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  else
    failed=$((failed + 1)) # it did not get to its end
  fi
  rm -f "$log"
}

run() {
  cd "$directory"
  for test in "${families[@]}"; do
    count "$test" python3 "test_$test.py" run "$test"
  done
  count models python3 test_models.py artifacts models ./run-artifact
  count entry python3 test_entry.py entry ./rshard-example-attend ./attend-on-device
  echo "$passed passed, $failed failed"
  return $status
}

case $action in
pack) pack ;;
run) run ;;
both) pack && run ;;
*)
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
  ;;
esac
