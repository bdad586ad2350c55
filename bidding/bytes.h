/*
 * Reading and writing of canonical bytes: integers little-endian of fixed width, byte strings
 * after a u16 length. A reader past its end turns bad and gives zeros; the caller looks once.
 *
 * Pure; any thread; the buffer is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

struct qb_writer {
    uint8_t *bytes;
    size_t room;
    size_t length;
};

static inline void qb_put(struct qb_writer *writer, const void *bytes, size_t length)
{
    QB_ASSERT(length <= writer->room - writer->length);
    if (length > 0) (void)memcpy(&writer->bytes[writer->length], bytes, length);
    writer->length += length;
}

static inline void qb_put_uint(struct qb_writer *writer, uint64_t value, size_t width)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    qb_put(writer, bytes, width);
}

static inline void qb_put_int(struct qb_writer *writer, int64_t value)
{
    qb_put_uint(writer, (uint64_t)value, 8);
}

struct qb_reader {
    const uint8_t *bytes;
    size_t length;
    size_t at;
    bool is_bad;
};

static inline void qb_take(struct qb_reader *reader, void *bytes, size_t length)
{
    if (reader->is_bad || length > reader->length - reader->at) {
        reader->is_bad = true;
        (void)memset(bytes, 0, length);
        return;
    }
    if (length > 0) (void)memcpy(bytes, &reader->bytes[reader->at], length);
    reader->at += length;
}

static inline uint64_t qb_take_uint(struct qb_reader *reader, size_t width)
{
    uint8_t bytes[8];
    uint64_t value = 0;

    qb_take(reader, bytes, width);
    for (size_t i = 0; i < width; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static inline int64_t qb_take_int(struct qb_reader *reader)
{
    return (int64_t)qb_take_uint(reader, 8);
}

/* A byte that is 0 or 1; anything else is bad. */
static inline bool qb_take_bool(struct qb_reader *reader)
{
    uint64_t value = qb_take_uint(reader, 1);

    if (value > 1) reader->is_bad = true;
    return value == 1;
}
