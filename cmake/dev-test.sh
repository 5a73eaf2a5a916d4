# ./dev test [--quick] [ctest arguments]
test() {
  local quick=()
  if [ "${1:-}" = --quick ]; then quick=(-LE 'parity|slow'); shift; fi
  [ ${#quick[@]} -gt 0 ] || { setup build; reference_environment; }
  build release
  ctest --test-dir build/release --output-on-failure "${quick[@]}" "$@"
}
