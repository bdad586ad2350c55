#include "storage/postgres_column.h"

#include <string.h>

#include "base/assert.h"
#include "storage/postgres.h"

#define COLUMN_BYTES_MAX (64U << 20)
#define HEAD_BYTES       20 /* dimensions, has nulls, type, length, first index */

/* Type numbers of the server's catalogue, of a value and of an array of them; fixed. */
static const struct {
    uint32_t value;
    unsigned array;
} types[] = {[QB_POSTGRES_INT8] = {20, 1016}, [QB_POSTGRES_BYTES] = {17, 1001}};

static void put(char to[4], uint32_t number)
{
    /* cppcheck-suppress objectIndex ; four bytes of the caller */
    for (int i = 0; i < 4; i++) to[i] = (char)(uint8_t)(number >> (24 - 8 * i));
}

static void add(struct qb_text *text, const void *bytes, size_t length)
{
    char head[4];

    put(head, (uint32_t)length);
    qb_text_add(text, head, sizeof head);
    qb_text_add(text, bytes, length);
    QB_ASSERT(!text->is_full);
}

void qb_postgres_column_clear(struct qb_postgres_column *column, enum qb_postgres_type type)
{
    static const char head[HEAD_BYTES];

    column->type = type;
    column->count = 0;
    column->bytes.bytes_max = COLUMN_BYTES_MAX;
    column->bytes.length = 0;
    qb_text_add(&column->bytes, head, sizeof head);
}

void qb_postgres_column_fini(struct qb_postgres_column *column)
{
    qb_text_fini(&column->bytes);
}

void qb_postgres_column_int(struct qb_postgres_column *column, int64_t value)
{
    char bytes[8];

    QB_ASSERT(column->type == QB_POSTGRES_INT8);
    put(bytes, (uint32_t)((uint64_t)value >> 32));
    put(&bytes[4], (uint32_t)(uint64_t)value);
    add(&column->bytes, bytes, sizeof bytes);
    column->count++;
}

void qb_postgres_column_bytes(struct qb_postgres_column *column, const void *bytes, size_t length)
{
    QB_ASSERT(column->type == QB_POSTGRES_BYTES);
    add(&column->bytes, bytes, length);
    column->count++;
}

void qb_postgres_bind_column(struct qb_statement *statement, int at,
                             struct qb_postgres_column *column)
{
    const uint32_t head[HEAD_BYTES / 4] = {1, 0, types[column->type].value, column->count, 1};

    QB_ASSERT(column->count > 0);
    for (size_t i = 0; i < QB_COUNT(head); i++) put(&column->bytes.bytes[4 * i], head[i]);
    qb_postgres_bind(statement, at, types[column->type].array, column->bytes.bytes,
                     column->bytes.length);
}
