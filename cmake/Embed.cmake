# cmake -DOUTPUT=FILE.cpp -DHEADER=H -DNAMESPACE=N -DFILES=NAME=FILE,… -P Embed.cmake: a source that holds files as they are, each
# behind a function `std::string_view NAME() noexcept` that HEADER declares.
set(text "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
string(REPLACE "," ";" FILES "${FILES}")
foreach(entry IN LISTS FILES)
  string(REGEX MATCH "^([^=]+)=(.*)$" matched "${entry}")
  set(name "${CMAKE_MATCH_1}")
  file(READ "${CMAKE_MATCH_2}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "namespace {\nconstexpr unsigned char k_${name}[] = {${bytes}};\n}\n"
    "std::string_view ${name}() noexcept {\n"
    "  return {reinterpret_cast<const char*>(k_${name}), sizeof k_${name}};\n}\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}}  // namespace ${NAMESPACE}\n")
