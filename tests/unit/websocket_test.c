/*
 * Frames as a hostile client may send them, numbered after Autobahn's chapters; each row is read
 * whole and byte by byte. Rows are unmasked here: the mask is put on when they are sent.
 */
#include "base/attributes.h"
#include "tests/kit/test.h"
#include "ws/connection.h"
#include "ws/websocket.h"

#define OK QB_CLOSE_COUNT
enum { MESSAGE_MAX = 200 };

static const struct {
    const char *says;
    const char *bytes; /* frames: head, length, payload */
    size_t length;
    enum qb_close reason; /* OK: no error */
    int messages;
    int controls;
} rows[] = {
/* clang-format off */
#define ROW(says, bytes, ...) {says, bytes, sizeof bytes - 1, __VA_ARGS__},
    ROW("1.1.1 empty text",             "\x81\x00", OK, 1, 0)
    ROW("1.1.2 text",                   "\x81\x02hi", OK, 1, 0)
    ROW("1.2.1 binary",                 "\x82\x00", QB_CLOSE_NOT_TEXT, 0, 0)
    ROW("2.1 empty ping",               "\x89\x00", OK, 0, 1)
    ROW("2.2 ping with payload",        "\x89\x05Hello", OK, 0, 1)
    ROW("2.5 ping of 126",              "\x89\x7e\x00\x7e", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("2.7 pong nobody asked for",    "\x8a\x00", OK, 0, 1)
    ROW("3.1 RSV1",                     "\xc1\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("3.2 RSV2 after good text",     "\x81\x01x\xa1\x00", QB_CLOSE_PROTOCOL, 1, 0)
    ROW("3.3 RSV3",                     "\x91\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("3.6 RSV on a ping",            "\xd9\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("4.1.1 opcode 3",               "\x83\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("4.1.5 opcode 7",               "\x87\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("4.2.1 opcode 11",              "\x8b\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("4.2.5 opcode 15",              "\x8f\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("5.1 ping in fragments",        "\x09\x01x", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("5.3 text in two",              "\x01\x01x\x80\x01y", OK, 1, 0)
    ROW("5.6 ping between",             "\x01\x01x\x89\x01p\x80\x01y", OK, 1, 1)
    ROW("5.9 stray continuation",       "\x80\x01y", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("5.15 text inside a message",   "\x01\x01x\x81\x01y", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("6.2.3 character in two frames","\x01\x01\xc3\x80\x01\xa9", OK, 1, 0)
    ROW("6.3.1 ends within one",        "\x81\x01\xc3", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("6.4 fails before the end",     "\x01\x02\xf4\x90", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("6.6 overlong slash",           "\x81\x02\xc0\xaf", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("6.9 smallest of four",         "\x81\x04\xf0\x90\x80\x80", OK, 1, 0)
    ROW("6.9 overlong of four",         "\x81\x04\xf0\x8f\xbf\xbf", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("6.10 overlong of three",       "\x81\x03\xe0\x9f\xbf", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("6.14 lone continuation",       "\x81\x01\x80", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("6.21 greatest character",      "\x81\x04\xf4\x8f\xbf\xbf", OK, 1, 0)
    ROW("6.22 a surrogate",             "\x81\x03\xed\xa0\x80", QB_CLOSE_BAD_UTF8, 0, 0)
    ROW("7.3.1 close",                  "\x88\x00", OK, 0, 1)
    ROW("7.3.6 close of 126",           "\x88\x7e\x00\x7e", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("9.1 over the limit",           "\x81\x7e\x00\xc9", QB_CLOSE_TOO_BIG, 0, 0)
    ROW("9.1 over it together",         "\x01\x01x\x80\x7e\x00\xc8", QB_CLOSE_TOO_BIG, 0, 0)
    ROW("9.1 huge",                     "\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00", QB_CLOSE_TOO_BIG, 0, 0)
    ROW("9.1 bit 63",                   "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("length not minimal, 16 bits",  "\x81\x7e\x00\x7d", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("length not minimal, 64 bits",  "\x81\x7f\x00\x00\x00\x00\x00\x00\x00\xff", QB_CLOSE_PROTOCOL, 0, 0)
    ROW("sixteen fragments",            "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00", OK, 1, 0)
    ROW("seventeen fragments",          "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00", QB_CLOSE_TOO_BIG, 0, 0)
    /* clang-format on */
};

/* The row as it goes over the wire; a header without its payload gets no mask either. */
static size_t mask(const uint8_t *row, size_t length, uint8_t *wire)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t out = 0;

    for (size_t at = 0; at < length;) {
        size_t head = row[at + 1] == 0x7e ? 4 : row[at + 1] == 0x7f ? 10 : 2;
        size_t payload = head == 2 ? row[at + 1] : 0;
        memcpy(wire + out, row + at, head);
        wire[out + 1] |= 0x80;
        memcpy(wire + out + head, key, sizeof key);
        out += head + sizeof key;
        for (size_t i = 0; i < payload; i++) wire[out + i] = row[at + head + i] ^ key[i % 4];
        out += payload;
        at += head + payload;
    }
    return out;
}

static void check(size_t i, size_t step)
{
    uint8_t wire[256];
    size_t length = mask((const uint8_t *)rows[i].bytes, rows[i].length, wire);
    struct qb_websocket_parser parser = {.message_bytes_max = MESSAGE_MAX};
    struct qb_websocket_read read = {.event = QB_WEBSOCKET_MORE};
    int messages = 0;
    int controls = 0;

    for (size_t at = 0; at < length && read.event != QB_WEBSOCKET_ERROR; at += step) {
        uint8_t *bytes = wire + at;
        size_t left = length - at < step ? length - at : step;
        do {
            read = qb_websocket_read(&parser, &bytes, &left);
            messages += read.event == QB_WEBSOCKET_PIECE && read.is_last;
            controls += read.event == QB_WEBSOCKET_CONTROL;
        } while (read.event == QB_WEBSOCKET_PIECE || read.event == QB_WEBSOCKET_CONTROL);
    }
    QB_EXPECT_EQ(read.event == QB_WEBSOCKET_ERROR ? read.reason : OK, rows[i].reason, rows[i].says);
    QB_EXPECT_EQ(messages, rows[i].messages, rows[i].says);
    QB_EXPECT_EQ(controls, rows[i].controls, rows[i].says);
}

QB_TEST(the_parser_follows_autobahn)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        check(i, sizeof "all of it" * 100);
        check(i, 1);
    }
}

QB_TEST(a_frame_without_a_mask_is_refused)
{
    struct qb_websocket_parser parser = {.message_bytes_max = MESSAGE_MAX};
    uint8_t wire[] = {0x81, 0x02, 'h', 'i'};
    uint8_t *bytes = wire;
    size_t length = sizeof wire;
    struct qb_websocket_read read = qb_websocket_read(&parser, &bytes, &length);

    QB_EXPECT_EQ(read.event, QB_WEBSOCKET_ERROR, "no mask");
    QB_EXPECT_EQ(read.reason, QB_CLOSE_PROTOCOL, "no mask");
}

QB_TEST(close_codes_are_judged)
{
    static const struct {
        const char *says;
        const char *payload;
        size_t length;
        uint16_t code;
        enum qb_close reason;
    } codes[] = {
        /* clang-format off */
        {"7.3.1 empty",         "", 0, 1005, QB_CLOSE_NORMAL},
        {"7.3.2 one byte",      "\x03", 1, 0, QB_CLOSE_PROTOCOL},
        {"7.3.3 1000",          "\x03\xe8", 2, 1000, QB_CLOSE_NORMAL},
        {"7.5.1 bad UTF-8",     "\x03\xe8\xce", 3, 0, QB_CLOSE_BAD_UTF8},
        {"7.7.13 4999",         "\x13\x87", 2, 4999, QB_CLOSE_NORMAL},
        {"7.9.2 999",           "\x03\xe7", 2, 0, QB_CLOSE_PROTOCOL},
        {"7.9.3 1004",          "\x03\xec", 2, 0, QB_CLOSE_PROTOCOL},
        {"7.9.5 1006",          "\x03\xee", 2, 0, QB_CLOSE_PROTOCOL},
        {"7.9.6 1016",          "\x03\xf8", 2, 0, QB_CLOSE_PROTOCOL},
        {"7.13.1 5000",         "\x13\x88", 2, 0, QB_CLOSE_PROTOCOL},
        /* clang-format on */
    };

    for (size_t i = 0; i < QB_COUNT(codes); i++) {
        enum qb_close reason;
        uint16_t code =
            qb_websocket_close_code((const uint8_t *)codes[i].payload, codes[i].length, &reason);
        QB_EXPECT_EQ(code, codes[i].code, codes[i].says);
        QB_EXPECT_EQ(reason, codes[i].reason, codes[i].says);
    }
}

QB_TEST(a_sealed_frame_has_its_header_in_front)
{
    struct qb_frame *frame = qb_frame_new("{}", 2);

    qb_websocket_seal(frame);
    /* cppcheck-suppress pointerOutOfBounds ; the head lies before the bytes */
    QB_EXPECT_EQ(memcmp(frame->bytes - 2, "\x81\x02{}", 4), 0, "one run of bytes");
    QB_EXPECT_EQ(qb_websocket_head_length(126), 4, "16 bits from 126 on");
    QB_EXPECT_EQ(qb_websocket_head_length(65536), 10, "64 bits from 65536 on");
    qb_frame_free(&frame);
}
