#!/bin/sh
# Builds the libFuzzer targets and runs each of them for FUZZ_SECONDS, beginning with its corpus: tools/fuzz.sh [TARGET...]
# What it finds to be new goes to build-fuzz/corpus, inputs that break a target to build-fuzz/crashes.
set -eu

cd "$(dirname "$0")/.."
CC=clang tools/build.sh build-fuzz -Dfuzz=true -Dtests=disabled -Db_sanitize=address,undefined -Db_lundef=false

found=0
failed=0
for program in build-fuzz/tests/fuzz/fuzz_*; do
	[ -f "$program" ] && [ -x "$program" ] || continue
	name=$(basename "$program")
	target=${name#fuzz_}
	case " $* " in "  " | *" $target "*) ;; *) continue ;; esac
	found=$((found + 1))
	mkdir -p "build-fuzz/corpus/$target" "build-fuzz/crashes/$target"
	echo "$target: ${FUZZ_SECONDS:-60} s"
	log=build-fuzz/$name.log
	if ! "$program" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="build-fuzz/crashes/$target/" \
		"build-fuzz/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1 </dev/null; then
		failed=$((failed + 1))
		tail -n 60 "$log"
	fi
	grep -E '^stat::(number_of_executed_units|average_exec_per_sec|new_units_added)' "$log" || true
done
echo "$found targets, $failed failed"
[ "$found" -gt 0 ] && [ "$failed" -eq 0 ]
