#include <hiredis/hiredis.h>
#include <string.h>

#include "base/redis.h"

/* The opaque struct of the header is hiredis' under another name. */
static const redisReply *plain(const struct qb_redis_reply *reply)
{
    return (const redisReply *)(const void *)reply;
}

enum qb_redis_kind qb_redis_kind_of(const struct qb_redis_reply *reply)
{
    switch (plain(reply)->type) {
    case REDIS_REPLY_STRING:
        return QB_REDIS_TEXT;
    case REDIS_REPLY_STATUS:
        return QB_REDIS_STATUS;
    case REDIS_REPLY_ERROR:
        return QB_REDIS_ERROR;
    case REDIS_REPLY_INTEGER:
        return QB_REDIS_INTEGER;
    case REDIS_REPLY_ARRAY:
        return QB_REDIS_ARRAY;
    default:
        return QB_REDIS_NIL;
    }
}

const char *qb_redis_text(const struct qb_redis_reply *reply, size_t *length)
{
    enum qb_redis_kind kind = qb_redis_kind_of(reply);
    bool is_text = kind == QB_REDIS_TEXT || kind == QB_REDIS_STATUS || kind == QB_REDIS_ERROR;

    if (length != NULL) *length = is_text ? (size_t)plain(reply)->len : 0;
    return is_text ? plain(reply)->str : "";
}

bool qb_redis_is_text(const struct qb_redis_reply *reply, const char *text)
{
    size_t length = 0;
    const char *bytes = qb_redis_text(reply, &length);

    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

int64_t qb_redis_integer(const struct qb_redis_reply *reply, int64_t otherwise)
{
    size_t length = 0;
    const char *text = qb_redis_text(reply, &length);
    bool is_negative = length > 0 && text[0] == '-';
    int64_t value = 0;

    if (qb_redis_kind_of(reply) == QB_REDIS_INTEGER) return plain(reply)->integer;
    if (qb_redis_kind_of(reply) != QB_REDIS_TEXT || length == (is_negative ? 1 : 0))
        return otherwise;
    for (size_t i = is_negative ? 1 : 0; i < length; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return otherwise;
    }
    /* Summed up below zero, where there is one number more. */
    if (is_negative) return value;
    return value == INT64_MIN ? otherwise : -value;
}

size_t qb_redis_count(const struct qb_redis_reply *reply)
{
    return qb_redis_kind_of(reply) == QB_REDIS_ARRAY ? plain(reply)->elements : 0;
}

const struct qb_redis_reply *qb_redis_item(const struct qb_redis_reply *reply, size_t index)
{
    return (const struct qb_redis_reply *)(const void *)plain(reply)->element[index];
}
