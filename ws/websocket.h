/*
 * RFC 6455 framing as a server reads and writes it: an incremental parser that refuses what
 * security.md S36 lists as soon as the byte is there, and the encoder of frame headers.
 *
 * The parser keeps no payload: it unmasks in place and hands out pieces, so that whoever reads
 * from the socket decides what to keep. UTF-8 is checked on the way.
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "ws/close.h"

#define QB_WEBSOCKET_CONTROL_MAX   125
#define QB_WEBSOCKET_HEAD_MAX      10 /* of a server's frame: no mask */
#define QB_WEBSOCKET_FRAGMENTS_MAX 16

enum qb_opcode {
    QB_OPCODE_CONTINUATION = 0,
    QB_OPCODE_TEXT = 1,
    QB_OPCODE_BINARY = 2,
    QB_OPCODE_CLOSE = 8,
    QB_OPCODE_PING = 9,
    QB_OPCODE_PONG = 10,
};

enum qb_websocket_event {
    QB_WEBSOCKET_MORE,    /* all bytes are used up */
    QB_WEBSOCKET_PIECE,   /* `piece` belongs to a text message; `is_last` ends the message */
    QB_WEBSOCKET_CONTROL, /* a whole control frame: `opcode`, its payload in parser->control */
    QB_WEBSOCKET_ERROR,   /* close with `reason`; the parser is used no more */
};

/* Zero-filled but for message_bytes_max is one at the start of a connection. */
struct qb_websocket_parser {
    uint32_t message_bytes_max;
    uint32_t message_bytes; /* of the message so far, the current frame's length included */
    uint32_t remaining;     /* payload bytes of the current frame still to come */
    uint32_t utf8_state;    /* 0: between characters */
    uint8_t head[14];
    uint8_t head_length; /* bytes of `head` there */
    uint8_t control_length;
    uint8_t mask_at;
    uint8_t fragments; /* frames of the message so far; 0: none is open */
    bool is_in_payload;
    uint8_t control[QB_WEBSOCKET_CONTROL_MAX];
};

struct qb_websocket_read {
    enum qb_websocket_event event;
    enum qb_opcode opcode;
    enum qb_close reason;
    bool is_last;
    uint8_t *piece; /* borrowed from the input, unmasked there */
    size_t length;
};

/*
 * Reads from `*bytes` up to the next event and moves `*bytes` and `*length` on. Called again until
 * MORE or ERROR.
 */
struct qb_websocket_read qb_websocket_read(struct qb_websocket_parser *parser, uint8_t **bytes,
                                           size_t *length);

/* What the payload of a close frame says: its code, 1005 when it is empty, 0 when RFC 6455 7.4 or
 * UTF-8 forbids it, with `reason` set to how to answer. */
uint16_t qb_websocket_close_code(const uint8_t *payload, size_t length, enum qb_close *reason);

/* Writes the header of a final frame; returns its bytes, at most QB_WEBSOCKET_HEAD_MAX. */
size_t qb_websocket_head(uint8_t *head, enum qb_opcode opcode, size_t length);

/* Bytes of the header that qb_websocket_seal() (ws/connection.h) put before frame->bytes. */
size_t qb_websocket_head_length(size_t length);
