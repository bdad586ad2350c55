#include "ws/websocket.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "ws/connection.h"

enum { FINAL = 0x80, RESERVED = 0x70, OPCODE = 0x0f, CONTROL = 0x08, MASKED = 0x80, LENGTH = 0x7f };
enum { LENGTH_16 = 126, LENGTH_64 = 127, MASK_BYTES = 4 };

/* UTF-8 as RFC 3629 has it. The state packs what may come next: how many continuation bytes are
 * missing (bits 16 up), and the least and greatest value of the next one (bits 8 and 0). */
static bool take_utf8(uint32_t *state, uint8_t byte)
{
    uint32_t missing = *state >> 16;

    if (missing > 0) {
        if (byte < ((*state >> 8) & 0xff) || byte > (*state & 0xff)) return false;
        *state = missing == 1 ? 0 : (missing - 1) << 16 | 0x80bf;
        return true;
    }
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    if (byte < 0xe0) {
        *state = 1 << 16 | 0x80bf;
    } else if (byte < 0xf0) {
        *state = 2 << 16 | (byte == 0xe0 ? 0xa0bf : byte == 0xed ? 0x809f : 0x80bf);
    } else {
        *state = 3 << 16 | (byte == 0xf0 ? 0x90bf : byte == 0xf4 ? 0x808f : 0x80bf);
    }
    return true;
}

static struct qb_websocket_read refuse(enum qb_close reason)
{
    return (struct qb_websocket_read){.event = QB_WEBSOCKET_ERROR, .reason = reason};
}

/* What the first two bytes forbid; QB_CLOSE_COUNT: nothing. */
static enum qb_close check_start(const struct qb_websocket_parser *parser)
{
    uint8_t opcode = parser->head[0] & OPCODE;
    bool is_final = (parser->head[0] & FINAL) != 0;

    if ((parser->head[0] & RESERVED) != 0) return QB_CLOSE_PROTOCOL;
    if (parser->head_length > 1 && (parser->head[1] & MASKED) == 0) return QB_CLOSE_PROTOCOL;
    if ((opcode & CONTROL) != 0) {
        if (opcode > QB_OPCODE_PONG || !is_final) return QB_CLOSE_PROTOCOL;
        if (parser->head_length > 1 && (parser->head[1] & LENGTH) > QB_WEBSOCKET_CONTROL_MAX) {
            return QB_CLOSE_PROTOCOL;
        }
        return QB_CLOSE_COUNT;
    }
    if (opcode > QB_OPCODE_BINARY) return QB_CLOSE_PROTOCOL;
    if ((opcode == QB_OPCODE_CONTINUATION) != (parser->fragments > 0)) return QB_CLOSE_PROTOCOL;
    if (opcode == QB_OPCODE_BINARY) return QB_CLOSE_NOT_TEXT;
    if (parser->fragments >= QB_WEBSOCKET_FRAGMENTS_MAX) return QB_CLOSE_TOO_BIG;
    return QB_CLOSE_COUNT;
}

static size_t length_bytes(const struct qb_websocket_parser *parser)
{
    uint8_t length = parser->head[1] & LENGTH;

    return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

/* The length is all there: judged before the mask has come and before anything is buffered. */
static enum qb_close check_length(struct qb_websocket_parser *parser)
{
    size_t extra = length_bytes(parser);
    uint64_t length = parser->head[1] & LENGTH;

    if (extra > 0) {
        length = 0;
        for (size_t i = 0; i < extra; i++) length = length << 8 | parser->head[2 + i];
        if (length < (extra == 2 ? LENGTH_16 : 65536U)) return QB_CLOSE_PROTOCOL;
        if (length > INT64_MAX) return QB_CLOSE_PROTOCOL;
    }
    if ((parser->head[0] & CONTROL) == 0) {
        if (length > parser->message_bytes_max - parser->message_bytes) return QB_CLOSE_TOO_BIG;
    }
    parser->remaining = (uint32_t)length;
    return QB_CLOSE_COUNT;
}

/* One more byte of the header. QB_CLOSE_COUNT: as it should be. */
static enum qb_close take_head(struct qb_websocket_parser *parser, uint8_t byte)
{
    enum qb_close wrong = QB_CLOSE_COUNT;

    parser->head[parser->head_length++] = byte;
    if (parser->head_length <= 2) wrong = check_start(parser);
    if (wrong != QB_CLOSE_COUNT || parser->head_length < 2) return wrong;

    size_t length_end = 2 + length_bytes(parser);
    if (parser->head_length == length_end) return check_length(parser);
    if (parser->head_length < length_end + MASK_BYTES) return QB_CLOSE_COUNT;

    parser->is_in_payload = true;
    parser->mask_at = 0;
    if ((parser->head[0] & CONTROL) != 0) {
        parser->control_length = 0;
    } else {
        parser->message_bytes += parser->remaining;
        parser->fragments++;
    }
    return QB_CLOSE_COUNT;
}

static void unmask(struct qb_websocket_parser *parser, uint8_t *bytes, size_t length)
{
    const uint8_t *mask = parser->head + parser->head_length - MASK_BYTES;

    for (size_t i = 0; i < length; i++) bytes[i] ^= mask[(parser->mask_at + i) % MASK_BYTES];
    parser->mask_at = (uint8_t)((parser->mask_at + length) % MASK_BYTES);
}

static void end_frame(struct qb_websocket_parser *parser, bool is_message_over)
{
    parser->is_in_payload = false;
    parser->head_length = 0;
    if (!is_message_over) return;
    parser->fragments = 0;
    parser->message_bytes = 0;
}

static struct qb_websocket_read read_control(struct qb_websocket_parser *parser, uint8_t *bytes,
                                             size_t length)
{
    struct qb_websocket_read read = {.opcode = (enum qb_opcode)(parser->head[0] & OPCODE)};

    memcpy(parser->control + parser->control_length, bytes, length);
    parser->control_length = (uint8_t)(parser->control_length + length);
    if (parser->remaining > 0) return read;
    end_frame(parser, false);
    read.event = QB_WEBSOCKET_CONTROL;
    return read;
}

static struct qb_websocket_read read_text(struct qb_websocket_parser *parser, uint8_t *bytes,
                                          size_t length)
{
    bool is_frame_over = parser->remaining == 0;
    bool is_last = is_frame_over && (parser->head[0] & FINAL) != 0;

    for (size_t i = 0; i < length; i++) {
        if (!take_utf8(&parser->utf8_state, bytes[i])) return refuse(QB_CLOSE_BAD_UTF8);
    }
    if (is_last && parser->utf8_state != 0) return refuse(QB_CLOSE_BAD_UTF8);
    if (is_frame_over) end_frame(parser, is_last);
    return (struct qb_websocket_read){.event = QB_WEBSOCKET_PIECE,
                                      .opcode = QB_OPCODE_TEXT,
                                      .is_last = is_last,
                                      .piece = bytes,
                                      .length = length};
}

struct qb_websocket_read qb_websocket_read(struct qb_websocket_parser *parser, uint8_t **bytes,
                                           size_t *length)
{
    while (!parser->is_in_payload) {
        if (*length == 0) return (struct qb_websocket_read){.event = QB_WEBSOCKET_MORE};
        enum qb_close wrong = take_head(parser, **bytes);
        (*bytes)++;
        (*length)--;
        if (wrong != QB_CLOSE_COUNT) return refuse(wrong);
    }
    if (*length == 0 && parser->remaining > 0) {
        return (struct qb_websocket_read){.event = QB_WEBSOCKET_MORE};
    }

    uint8_t *piece = *bytes;
    size_t taken = *length < parser->remaining ? *length : parser->remaining;
    *bytes += taken;
    *length -= taken;
    parser->remaining -= (uint32_t)taken;
    unmask(parser, piece, taken);
    if ((parser->head[0] & CONTROL) != 0) return read_control(parser, piece, taken);
    return read_text(parser, piece, taken);
}

uint16_t qb_websocket_close_code(const uint8_t *payload, size_t length, enum qb_close *reason)
{
    enum { NO_CODE = 1005 };

    *reason = QB_CLOSE_NORMAL;
    if (length == 0) return NO_CODE;
    uint16_t code = (uint16_t)(length < 2 ? 0 : payload[0] << 8 | payload[1]);
    bool is_named = code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
    if (!is_named && (code < 3000 || code > 4999)) {
        *reason = QB_CLOSE_PROTOCOL;
        return 0;
    }
    if (!qb_utf8_is_valid((const char *)payload + 2, length - 2)) {
        *reason = QB_CLOSE_BAD_UTF8;
        return 0;
    }
    return code;
}

size_t qb_websocket_head_length(size_t length)
{
    return length < LENGTH_16 ? 2 : length <= UINT16_MAX ? 4 : 10;
}

size_t qb_websocket_head(uint8_t *head, enum qb_opcode opcode, size_t length)
{
    size_t bytes = qb_websocket_head_length(length);

    head[0] = (uint8_t)(FINAL | opcode);
    head[1] = (uint8_t)(bytes == 2 ? length : bytes == 4 ? LENGTH_16 : LENGTH_64);
    for (size_t i = 2; i < bytes; i++)
        head[i] = (uint8_t)((uint64_t)length >> (8 * (bytes - 1 - i)));
    return bytes;
}

void qb_websocket_seal(struct qb_frame *frame)
{
    size_t bytes = qb_websocket_head_length(frame->length);

    QB_ASSERT(bytes <= QB_FRAME_HEAD);
    (void)qb_websocket_head(frame->head + QB_FRAME_HEAD - bytes, QB_OPCODE_TEXT, frame->length);
}
