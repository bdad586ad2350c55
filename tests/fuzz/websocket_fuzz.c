#include "tests/fuzz/fuzz.h"
#include "ws/websocket.h"

/* The first byte chooses how the rest is cut; however it is, the parser sees the same messages and
 * control frames and ends with the same reason, and never more than a message may have. */

#define MESSAGE_MAX 1024
#define BYTES_MAX   65536

/* What the parser made of all bytes, written down. */
struct story {
    uint8_t text[BYTES_MAX];
    size_t length;
    size_t message_length; /* of the message that is open */
    enum qb_close reason;  /* QB_CLOSE_COUNT: none */
};

static void tell(struct story *story, const void *bytes, size_t length)
{
    QB_ASSERT(length <= sizeof story->text - story->length);
    if (length > 0) (void)memcpy(&story->text[story->length], bytes, length);
    story->length += length;
}

static void tell_control(struct story *story, const struct qb_websocket_parser *parser,
                         enum qb_opcode opcode)
{
    enum qb_close reason = QB_CLOSE_NORMAL;
    uint8_t mark[2] = {(uint8_t)opcode, parser->control_length};

    /* Controls between the frames of a message are told where they stand; both cuts agree. */
    tell(story, mark, sizeof mark);
    tell(story, parser->control, parser->control_length);
    if (opcode != QB_OPCODE_CLOSE) return;
    uint16_t code = qb_websocket_close_code(parser->control, parser->control_length, &reason);
    QB_ASSERT((code == 0) == (reason != QB_CLOSE_NORMAL));
    QB_ASSERT(code == 0 || (code >= 1000 && code <= 4999));
}

/* One chunk. False: the parser is done with. */
static bool feed(struct qb_websocket_parser *parser, struct story *story, uint8_t *bytes,
                 size_t length)
{
    for (;;) {
        struct qb_websocket_read read = qb_websocket_read(parser, &bytes, &length);
        switch (read.event) {
        case QB_WEBSOCKET_MORE:
            QB_ASSERT(length == 0);
            return true;
        case QB_WEBSOCKET_ERROR:
            QB_ASSERT(read.reason < QB_CLOSE_COUNT);
            story->reason = read.reason;
            return false;
        case QB_WEBSOCKET_CONTROL:
            tell_control(story, parser, read.opcode);
            break;
        case QB_WEBSOCKET_PIECE:
            tell(story, read.piece, read.length);
            story->message_length += read.length;
            QB_ASSERT(story->message_length <= MESSAGE_MAX);
            if (!read.is_last) break;
            tell(story, "|", 1);
            story->message_length = 0;
            break;
        }
    }
}

static void run(struct story *story, const uint8_t *bytes, size_t length, uint32_t cut)
{
    struct qb_websocket_parser parser = {.message_bytes_max = MESSAGE_MAX};
    bool is_alive = true;

    story->length = 0;
    story->message_length = 0;
    story->reason = QB_CLOSE_COUNT;
    for (size_t at = 0; at < length && is_alive;) {
        cut = cut * 1664525 + 1013904223;
        size_t part = 1 + (cut >> 24) % 96;
        if (part > length - at) part = length - at;
        uint8_t *chunk = copy_of(&bytes[at], part);
        is_alive = feed(&parser, story, chunk, part);
        free(chunk);
        at += part;
    }
}

static void run_at_once(struct story *story, const uint8_t *bytes, size_t length)
{
    struct qb_websocket_parser parser = {.message_bytes_max = MESSAGE_MAX};
    uint8_t *chunk = copy_of(bytes, length);

    story->length = 0;
    story->message_length = 0;
    story->reason = QB_CLOSE_COUNT;
    (void)feed(&parser, story, chunk, length);
    free(chunk);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct story whole;
    static struct story parts;

    if (length < 1 || length > BYTES_MAX / 2) return 0;
    run_at_once(&whole, bytes + 1, length - 1);
    run(&parts, bytes + 1, length - 1, bytes[0]);
    QB_ASSERT(whole.reason == parts.reason);
    if (whole.reason != QB_CLOSE_COUNT) {
        /* The bytes of the message that ends it may have been handed out or not. */
        return 0;
    }
    QB_ASSERT(whole.length == parts.length);
    QB_ASSERT(memcmp(whole.text, parts.text, whole.length) == 0);
    return 0;
}
