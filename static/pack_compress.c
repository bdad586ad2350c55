/* zlib then takes its input as const. */
#define ZLIB_CONST

#include "static/pack_compress.h"

#include <brotli/encode.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/assert.h"

#define GZIP_WINDOW_BITS (15 + 16) /* 16 asks zlib for the gzip format */

void qb_pack_bytes_fini(struct qb_pack_bytes *bytes)
{
    free(bytes->bytes);
    bytes->bytes = NULL;
    bytes->length = 0;
}

/* Keeps what was written to `out` if it is worth it. */
static struct qb_pack_bytes keep_if_smaller(void *out, size_t length, size_t original)
{
    struct qb_pack_bytes kept = {.bytes = out, .length = length};

    if (length >= original) qb_pack_bytes_fini(&kept);
    return kept;
}

struct qb_pack_bytes qb_pack_gzip(const void *bytes, size_t length)
{
    z_stream stream = {0};

    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return (struct qb_pack_bytes){0};
    }
    size_t room = deflateBound(&stream, (uLong)length);
    void *out = malloc(room);
    QB_ASSERT(out != NULL);
    stream.next_in = bytes;
    stream.avail_in = (uInt)length;
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    bool is_done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    size_t out_length = is_done ? stream.total_out : length;
    (void)deflateEnd(&stream);
    return keep_if_smaller(out, out_length, length);
}

struct qb_pack_bytes qb_pack_brotli(const void *bytes, size_t length)
{
    size_t out_length = BrotliEncoderMaxCompressedSize(length);
    void *out = malloc(out_length);

    QB_ASSERT(out != NULL);
    bool is_done =
        BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT, length,
                              bytes, &out_length, out) == BROTLI_TRUE;
    return keep_if_smaller(out, is_done ? out_length : length, length);
}
