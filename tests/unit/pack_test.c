/*
 * The packer: how references are found and rewritten, and what the program makes of a small site.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "static/pack_compress.h"
#include "static/pack_refs.h"
#include "tests/kit/test.h"

static const char *name_of(void *context, const char *path, struct qb_error *error)
{
    (void)context;
    (void)error;
    if (strcmp(path, "/static/a.js") == 0) return "/static/a.123.js";
    if (strcmp(path, "/static/views/b.js") == 0) return "/static/views/b.456.js";
    return NULL;
}

QB_TEST(references_are_found_in_every_language)
{
    static const struct {
        const char *source;
        const char *expected;
    } rows[] = {
        {"<script src=\"/static/a.js\">", "<script src=\"/static/a.123.js\">"},
        {"<a href='/static/a.js'>", "<a href='/static/a.123.js'>"},
        {"import x from \"../a.js\";", "import x from \"/static/a.123.js\";"},
        {"import './b.js'; import(\"./b.js\")",
         "import '/static/views/b.456.js'; import(\"/static/views/b.456.js\")"},
        {"background: url(../a.js)", "background: url(/static/a.123.js)"},
        {"\"./../views/b.js\"", "\"/static/views/b.456.js\""},
        {"{\"imports\":{\"a\":\"/static/a.js\"}}", "{\"imports\":{\"a\":\"/static/a.123.js\"}}"},
        {"don't touch \"this\" or 'that'", "don't touch \"this\" or 'that'"},
        {"it's \"/static/a.js\"", "it's \"/static/a.123.js\""},
        {"\"/api/auctions\" '/'", "\"/api/auctions\" '/'"},
        {"\"/static/a.js", "\"/static/a.js"},
        {"/static/a.js", "/static/a.js"},
        {"\"https://x/static/a.js\"", "\"https://x/static/a.js\""},
        {"", ""},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_text text = {0};
        struct qb_error error = {0};
        bool is_good = qb_pack_rewrite(rows[i].source, strlen(rows[i].source), "/static/views/c.js",
                                       name_of, NULL, &text, &error);
        QB_EXPECT(is_good, error.text);
        QB_EXPECT_TEXT(text.bytes != NULL ? text.bytes : "", rows[i].expected, rows[i].source);
        qb_text_fini(&text);
    }
}

QB_TEST(a_reference_to_nothing_is_an_error)
{
    static const char *const sources[] = {"import \"./gone.js\"", "\"/static/gone.css\"",
                                          "url(../../gone.png)"};

    for (size_t i = 0; i < QB_COUNT(sources); i++) {
        struct qb_text text = {0};
        struct qb_error error = {0};
        QB_EXPECT(!qb_pack_rewrite(sources[i], strlen(sources[i]), "/static/views/c.js", name_of,
                                   NULL, &text, &error),
                  sources[i]);
        QB_EXPECT(strstr(error.text, "gone") != NULL, error.text);
        qb_text_fini(&text);
    }
}

QB_TEST(compression_is_kept_only_if_it_helps)
{
    static const char tiny[] = "ab";
    char large[4096];

    (void)memset(large, 'a', sizeof large);
    struct qb_pack_bytes none = qb_pack_gzip(tiny, 2);
    QB_EXPECT(none.bytes == NULL, "two bytes do not get smaller");
    none = qb_pack_brotli(tiny, 2);
    QB_EXPECT(none.bytes == NULL, "nor with brotli");
    struct qb_pack_bytes gzip = qb_pack_gzip(large, sizeof large);
    struct qb_pack_bytes again = qb_pack_gzip(large, sizeof large);
    QB_EXPECT(gzip.bytes != NULL && gzip.length < 100, "many equal bytes do");
    QB_EXPECT(gzip.length == again.length && memcmp(gzip.bytes, again.bytes, gzip.length) == 0,
              "the same each time");
    qb_pack_bytes_fini(&gzip);
    qb_pack_bytes_fini(&again);
}

/* A directory for one run of the program. */
struct place {
    char folder[64];
    char c_file[96];
    char bin_file[96];
};

static struct place make_place(void)
{
    struct place place = {.folder = "/tmp/qb_pack_XXXXXX"};

    QB_EXPECT(mkdtemp(place.folder) != NULL, "a folder");
    (void)snprintf(place.c_file, sizeof place.c_file, "%s/out.c", place.folder);
    (void)snprintf(place.bin_file, sizeof place.bin_file, "%s/out.bin", place.folder);
    return place;
}

static void write_file(const struct place *place, const char *name, const char *content)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", place->folder, name);
    FILE *file = fopen(path, "wb");
    QB_EXPECT(file != NULL, path);
    if (file == NULL) return;
    (void)fputs(content, file);
    (void)fclose(file);
}

static char *read_file(const char *path)
{
    char *content = calloc(1, 65536);
    FILE *file = fopen(path, "rb");

    if (file == NULL) return content;
    size_t length = fread(content, 1, 65535, file);
    content[length] = '\0';
    (void)fclose(file);
    return content;
}

static void remove_place(const struct place *place)
{
    static const char *const names[] = {"out.c", "out.bin", "page.html", "app.js", "part.js"};
    char path[128];

    for (size_t i = 0; i < QB_COUNT(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", place->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(place->folder);
}

/* Runs the packer on page.html, app.js and part.js. Returns its exit status. */
static int run_packer(const struct place *place)
{
    char page[128];
    char app[128];
    char part[128];
    char tool[] = QB_PACK_TOOL;
    char *environment[] = {NULL};
    struct place copy = *place;
    char *arguments[] = {tool, copy.c_file, copy.bin_file, page, app, part, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    int status = -1;

    (void)snprintf(page, sizeof page, "/index.html=%s/page.html", place->folder);
    (void)snprintf(app, sizeof app, "/static/app.js=%s/app.js", place->folder);
    (void)snprintf(part, sizeof part, "/static/part.js=%s/part.js", place->folder);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&child, tool, &actions, NULL, arguments, environment) == 0) {
        (void)waitpid(child, &status, 0);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The fingerprint of app.js in the table at `c_file`: 12 hex digits. */
static void read_fingerprint(const char *c_file, char fingerprint[13])
{
    char *table = read_file(c_file);
    char *at = strstr(table, "\"/static/app.");

    while (at != NULL && strncmp(at + 13, "js\"", 3) == 0) at = strstr(at + 1, "\"/static/app.");
    (void)snprintf(fingerprint, 13, "%.12s", at != NULL ? at + 13 : "");
    free(table);
}

QB_TEST(a_changed_leaf_changes_the_names_of_all_that_refer_to_it)
{
    struct place place = make_place();
    char before[13];
    char again[13];
    char after[13];

    write_file(&place, "page.html", "<script src=\"/static/app.js\"></script>");
    write_file(&place, "app.js", "import \"./part.js\";");
    write_file(&place, "part.js", "export const x = 1;");
    QB_EXPECT_EQ(run_packer(&place), 0, "packs");
    read_fingerprint(place.c_file, before);
    char *first = read_file(place.c_file);
    QB_EXPECT_EQ(run_packer(&place), 0, "packs again");
    read_fingerprint(place.c_file, again);
    char *second = read_file(place.c_file);
    QB_EXPECT_TEXT(second, first, "the same input gives the same output");
    QB_EXPECT_EQ(strlen(before), 12, "a fingerprint");
    write_file(&place, "part.js", "export const x = 2;");
    QB_EXPECT_EQ(run_packer(&place), 0, "packs the change");
    read_fingerprint(place.c_file, after);
    QB_EXPECT_TEXT(again, before, "nothing changed");
    QB_EXPECT(strcmp(after, before) != 0, "app.js imports what changed");
    free(first);
    free(second);
    remove_place(&place);
}

QB_TEST(what_cannot_be_right_stops_the_build)
{
    struct place place = make_place();

    write_file(&place, "page.html", "<p>");
    write_file(&place, "app.js", "import \"./part.js\";");
    write_file(&place, "part.js", "import \"./app.js\";");
    QB_EXPECT_EQ(run_packer(&place), 1, "a circle");
    write_file(&place, "part.js", "import \"./gone.js\";");
    QB_EXPECT_EQ(run_packer(&place), 1, "a missing import");
    write_file(&place, "part.js", "");
    QB_EXPECT_EQ(run_packer(&place), 1, "an empty file");
    write_file(&place, "part.js", "export {};");
    QB_EXPECT_EQ(run_packer(&place), 0, "nothing wrong any more");
    remove_place(&place);
}
