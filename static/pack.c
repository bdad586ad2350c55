/*
 * A program of the build: packs the page's files into the binary.
 *
 *     qb_pack OUTPUT.c OUTPUT.bin URL=FILE…
 *
 * Assets below /static/ get the hash of their content into their name, and whoever refers to them
 * is rewritten first, so they are named from the leaves up; a circle is an error. Each is kept
 * under its plain name too (the client module is imported by it). OUTPUT.bin holds the bodies as
 * frames (static/pack.h), OUTPUT.c the table and the directive that embeds OUTPUT.bin. The same
 * input gives the same output. It runs on the machine it builds for: frames are laid out as here.
 */
#include "static/pack.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/sha256.h"
#include "base/text.h"
#include "static/pack_compress.h"
#include "static/pack_refs.h"

#define ASSETS_MAX             128
#define FINGERPRINT_CHARACTERS 12
#define FRAME_ALIGNMENT        16

enum stage { STAGE_NEW, STAGE_UNDER_WAY, STAGE_DONE };

struct asset {
    char path[QB_PACK_PATH_BYTES];       /* as its sources name it */
    char final_path[QB_PACK_PATH_BYTES]; /* with the fingerprint, if it gets one */
    const char *content_type;
    bool is_text; /* may refer to others */
    enum stage stage;
    struct qb_text content; /* as read, then as rewritten */
    char hash[2 * QB_SHA256_BYTES + 1];
    struct qb_pack_bytes gzip;
    struct qb_pack_bytes brotli;
    size_t offsets[QB_PACK_ENCODINGS]; /* in OUTPUT.bin */
};

struct pack {
    struct asset assets[ASSETS_MAX];
    size_t count;
};

/* One row of the table: an asset under one of its names. */
struct row {
    const char *path;
    const struct asset *asset;
};

static const struct {
    const char *extension;
    const char *content_type;
    bool is_text;
} types[] = {
    /* clang-format off */
    {".html", "text/html; charset=utf-8",       true},
    {".css",  "text/css; charset=utf-8",        true},
    {".js",   "text/javascript; charset=utf-8", true},
    {".json", "application/json",               true},
    {".webmanifest", "application/manifest+json", true},
    {".txt",  "text/plain; charset=utf-8",      false},
    {".svg",  "image/svg+xml",                  false},
    {".png",  "image/png",                      false},
    {".webp", "image/webp",                     false},
    {".ico",  "image/x-icon",                   false},
    /* clang-format on */
};

static bool read_file(const char *name, struct qb_text *text, struct qb_error *error)
{
    char chunk[65536];
    FILE *file = fopen(name, "rb");

    if (file == NULL) return qb_error_set(error, "%s cannot be opened", name);
    for (size_t got = 1; got > 0;) {
        got = fread(chunk, 1, sizeof chunk, file);
        qb_text_add(text, chunk, got);
    }
    bool is_good = ferror(file) == 0 && !text->is_full;
    (void)fclose(file);
    if (!is_good) return qb_error_set(error, "%s cannot be read, or is too big", name);
    if (text->length == 0) return qb_error_set(error, "%s is empty", name);
    return true;
}

static bool set_type(struct asset *asset, struct qb_error *error)
{
    const char *dot = strrchr(asset->path, '.');

    for (size_t i = 0; dot != NULL && i < QB_COUNT(types); i++) {
        if (strcmp(dot, types[i].extension) != 0) continue;
        asset->content_type = types[i].content_type;
        asset->is_text = types[i].is_text;
        return true;
    }
    return qb_error_set(error, "%s: no content type is known for its ending", asset->path);
}

/* Takes one URL=FILE argument. */
static bool add_asset(struct pack *pack, const char *argument, struct qb_error *error)
{
    const char *equals = strchr(argument, '=');
    size_t path_bytes = equals != NULL ? (size_t)(equals - argument) : 0;

    /* Half of the room, so that a fingerprint always fits. */
    if (argument[0] != '/' || path_bytes == 0 || path_bytes > QB_PACK_PATH_BYTES / 2) {
        return qb_error_set(error, "%s is not of the form /PATH=FILE", argument);
    }
    if (pack->count == ASSETS_MAX) return qb_error_set(error, "more than %d assets", ASSETS_MAX);
    struct asset *asset = &pack->assets[pack->count++];
    (void)memcpy(asset->path, argument, path_bytes);
    QB_TRY(set_type(asset, error));
    return read_file(equals + 1, &asset->content, error);
}

static void set_names(struct asset *asset)
{
    uint8_t digest[QB_SHA256_BYTES];

    qb_sha256_of(asset->content.bytes, asset->content.length, digest);
    qb_hex(digest, sizeof digest, asset->hash);
    const char *dot = strrchr(asset->path, '.');
    if (strncmp(asset->path, "/static/", 8) == 0) {
        (void)snprintf(asset->final_path, sizeof asset->final_path, "%.*s.%.*s%s",
                       (int)(dot - asset->path), asset->path, FINGERPRINT_CHARACTERS, asset->hash,
                       dot);
    } else {
        (void)snprintf(asset->final_path, sizeof asset->final_path, "%s", asset->path);
    }
}

static qb_pack_name final_name;

/* Rewrites what an asset refers to, then names it by its content. */
static bool finish(struct pack *pack, struct asset *asset, struct qb_error *error)
{
    if (asset->stage == STAGE_DONE) return true;
    if (asset->stage == STAGE_UNDER_WAY) {
        return qb_error_set(error, "%s refers to itself in a circle", asset->path);
    }
    asset->stage = STAGE_UNDER_WAY;
    if (asset->is_text) {
        struct qb_text rewritten = {0};
        bool is_good = qb_pack_rewrite(asset->content.bytes, asset->content.length, asset->path,
                                       final_name, pack, &rewritten, error);
        qb_text_fini(&asset->content);
        asset->content = rewritten;
        if (!is_good) return qb_error_wrap(error, "%s", asset->path);
    }
    set_names(asset);
    asset->stage = STAGE_DONE;
    return true;
}

static const char *final_name(void *context, const char *path, struct qb_error *error)
{
    struct pack *pack = context;

    for (size_t i = 0; i < pack->count; i++) {
        struct asset *asset = &pack->assets[i];
        if (strcmp(asset->path, path) != 0) continue;
        return finish(pack, asset, error) ? asset->final_path : NULL;
    }
    return NULL;
}

/* Writes one body as a frame with one holder that is never let go. */
static size_t write_frame(FILE *file, size_t *offset, const void *bytes, size_t length)
{
    static const uint8_t zeros[FRAME_ALIGNMENT];
    struct qb_frame frame = {.length = (uint32_t)length};
    size_t start = *offset;
    size_t head_bytes = offsetof(struct qb_frame, bytes);

    atomic_init(&frame.holders, 1);
    size_t padding = (FRAME_ALIGNMENT - (head_bytes + length) % FRAME_ALIGNMENT) % FRAME_ALIGNMENT;
    (void)fwrite(&frame, 1, head_bytes, file);
    (void)fwrite(bytes, 1, length, file);
    (void)fwrite(zeros, 1, padding, file);
    *offset += head_bytes + length + padding;
    return start;
}

static void write_bodies(struct pack *pack, FILE *file)
{
    size_t offset = 0;

    for (size_t i = 0; i < pack->count; i++) {
        struct asset *asset = &pack->assets[i];
        const struct qb_text *content = &asset->content;

        asset->brotli = qb_pack_brotli(content->bytes, content->length);
        asset->gzip = qb_pack_gzip(content->bytes, content->length);
        asset->offsets[QB_PACK_IDENTITY] =
            write_frame(file, &offset, content->bytes, content->length);
        if (asset->gzip.bytes != NULL) {
            asset->offsets[QB_PACK_GZIP] =
                write_frame(file, &offset, asset->gzip.bytes, asset->gzip.length);
        }
        if (asset->brotli.bytes != NULL) {
            asset->offsets[QB_PACK_BROTLI] =
                write_frame(file, &offset, asset->brotli.bytes, asset->brotli.length);
        }
    }
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->path, ((const struct row *)b)->path);
}

/* The table's rows: each asset under its final name and, if that differs, its plain one. */
static size_t make_rows(const struct pack *pack, struct row rows[2 * ASSETS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < pack->count; i++) {
        const struct asset *asset = &pack->assets[i];
        rows[count++] = (struct row){asset->path, asset};
        if (strcmp(asset->path, asset->final_path) == 0) continue;
        rows[count++] = (struct row){asset->final_path, asset};
    }
    qsort(rows, count, sizeof rows[0], compare_rows);
    return count;
}

static void write_row(FILE *file, const struct row *row)
{
    const struct asset *asset = row->asset;
    bool is_immutable = strcmp(row->path, asset->path) != 0;
    bool is_page = strncmp(asset->content_type, "text/html", 9) == 0;

    (void)fprintf(file, "    {\"%s\", \"%s\", \"%.32s\", %s, %s,\n     {", row->path,
                  asset->content_type, asset->hash, is_immutable ? "true" : "false",
                  is_page ? "true" : "false");
    for (int i = 0; i < QB_PACK_ENCODINGS; i++) {
        bool is_kept = i == QB_PACK_IDENTITY || (i == QB_PACK_GZIP && asset->gzip.bytes != NULL) ||
                       (i == QB_PACK_BROTLI && asset->brotli.bytes != NULL);
        if (is_kept)
            (void)fprintf(file, "FRAME(%zu), ", asset->offsets[i]);
        else
            (void)fprintf(file, "0, ");
    }
    (void)fprintf(file, "}},\n");
}

static void write_table(const struct pack *pack, FILE *file, const char *bin_name)
{
    static struct row rows[2 * ASSETS_MAX];
    size_t count = make_rows(pack, rows);

    (void)fprintf(
        file,
        "/* Written by static/pack.c. */\n"
        "#include \"static/pack.h\"\n\n"
        "__asm__(\".pushsection .data\\n.balign %d\\n\"\n"
        "        \".globl qb_pack_bodies\\n.hidden qb_pack_bodies\\nqb_pack_bodies:\\n\"\n"
        "        \".incbin \\\"%s\\\"\\n.popsection\\n\");\n\n"
        "extern unsigned char qb_pack_bodies[];\n"
        "#define FRAME(offset) ((struct qb_frame *)(void *)(qb_pack_bodies + (offset)))\n"
        "\nconst struct qb_pack_asset qb_pack_assets[] = {\n",
        FRAME_ALIGNMENT, bin_name);
    for (size_t i = 0; i < count; i++) write_row(file, &rows[i]);
    (void)fprintf(file, "};\n\nconst size_t qb_pack_asset_count = %zu;\n", count);
}

static bool close_output(FILE *file, const char *name, struct qb_error *error)
{
    bool is_good = ferror(file) == 0;

    if (fclose(file) != 0 || !is_good) return qb_error_set(error, "%s: writing failed", name);
    return true;
}

static bool write_outputs(struct pack *pack, const char *c_name, const char *bin_name,
                          struct qb_error *error)
{
    FILE *bin = fopen(bin_name, "wb");
    if (bin == NULL) return qb_error_set(error, "%s cannot be written", bin_name);
    write_bodies(pack, bin);
    QB_TRY(close_output(bin, bin_name, error));

    FILE *table = fopen(c_name, "wb");
    if (table == NULL) return qb_error_set(error, "%s cannot be written", c_name);
    write_table(pack, table, bin_name);
    return close_output(table, c_name, error);
}

static bool run(struct pack *pack, int argument_count, char **arguments, struct qb_error *error)
{
    if (argument_count < 4) {
        return qb_error_set(error, "usage: qb_pack OUTPUT.c OUTPUT.bin URL=FILE...");
    }
    for (int i = 3; i < argument_count; i++) QB_TRY(add_asset(pack, arguments[i], error));
    for (size_t i = 0; i < pack->count; i++) QB_TRY(finish(pack, &pack->assets[i], error));
    return write_outputs(pack, arguments[1], arguments[2], error);
}

int main(int argument_count, char **arguments)
{
    static struct pack pack;
    struct qb_error error = {0};
    bool is_good = run(&pack, argument_count, arguments, &error);

    if (!is_good) (void)fprintf(stderr, "qb_pack: %s\n", error.text);
    for (size_t i = 0; i < pack.count; i++) {
        qb_text_fini(&pack.assets[i].content);
        qb_pack_bytes_fini(&pack.assets[i].gzip);
        qb_pack_bytes_fini(&pack.assets[i].brotli);
    }
    return is_good ? 0 : 1;
}
