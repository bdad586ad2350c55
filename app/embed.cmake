# Makes one C file of the data files of the API's documents, each as qb_data_<name>:
# cmake -DOUT=… -DFILES=a.json;b.json -P embed.cmake
set(texts "")
foreach(path IN LISTS FILES)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND texts "extern const char qb_data_${name}[];\nconst char qb_data_${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUT} "${texts}")
