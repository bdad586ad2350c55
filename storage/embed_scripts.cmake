# Makes one C file of Lua scripts, each as one text by its name: cmake -DOUT=… -DFILES=a.lua;b.lua
# -P embed_scripts.cmake
set(texts "")
foreach(path IN LISTS FILES)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND texts "const char qb_script_${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUT} "#include \"storage/ledger_redis_texts.h\"\n\n${texts}")
