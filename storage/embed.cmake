# Makes one C file of the numbered SQL files: cmake -DOUT=… -DENGINE=… -DFILES=a.sql;b.sql -P embed.cmake
set(table "")
set(texts "")
foreach(path IN LISTS FILES)
  get_filename_component(name ${path} NAME)
  string(REGEX MATCH "^[0-9]+" number ${name})
  math(EXPR number "1${number} - 10000") # without an octal reading of leading zeros
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND texts "static const char sql_${number}[] = {${bytes}0};\n")
  string(APPEND table "    {${number}, \"${name}\", sql_${number}},\n")
endforeach()
file(WRITE ${OUT} "#include \"storage/migrate.h\"\n\n${texts}
static const struct qb_migration migrations[] = {\n${table}};

const struct qb_migration *qb_migrations_${ENGINE}(size_t *count)
{
    *count = sizeof migrations / sizeof migrations[0];
    return migrations;
}
")
