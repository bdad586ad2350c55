#include "bidding/entry.h"

#include <string.h>

#include "base/assert.h"
#include "bidding/bytes.h"
#include "bidding/rules_codec.h"

#define SALT_BYTES 16

_Static_assert(24 * 16 + 300 + QB_REASON_BYTES_MAX < QB_ENTRY_BYTES_MAX, "the largest OPEN fits");

static const char *const type_names[QB_ENTRY_TYPE_COUNT] = {
    [QB_ENTRY_OPEN] = "OPEN",       [QB_ENTRY_BID] = "BID",         [QB_ENTRY_BUY_NOW] = "BUY_NOW",
    [QB_ENTRY_RETRACT] = "RETRACT", [QB_ENTRY_VOID] = "VOID",       [QB_ENTRY_BLOCK] = "BLOCK",
    [QB_ENTRY_UNBLOCK] = "UNBLOCK", [QB_ENTRY_RESERVE] = "RESERVE", [QB_ENTRY_EXTEND] = "EXTEND",
    [QB_ENTRY_PAUSE] = "PAUSE",     [QB_ENTRY_RESUME] = "RESUME",   [QB_ENTRY_CLOSE] = "CLOSE",
    [QB_ENTRY_CANCEL] = "CANCEL",   [QB_ENTRY_DISCARD] = "DISCARD",
};

const char *qb_entry_type_name(enum qb_entry_type type)
{
    return type > 0 && type < QB_ENTRY_TYPE_COUNT ? type_names[type] : NULL;
}

/* The head is the same in the canonical and the public form. */
static void put_head(struct qb_writer *writer, const struct qb_entry *entry)
{
    qb_put_uint(writer, QB_ENTRY_VERSION, 1);
    qb_put_uint(writer, entry->auction, 8);
    qb_put_uint(writer, entry->epoch, 4);
    qb_put_uint(writer, entry->seq, 8);
    qb_put_uint(writer, entry->type, 1);
    qb_put_uint(writer, entry->by, 1);
    qb_put_uint(writer, entry->reason, 1);
    qb_put(writer, entry->bid_id, QB_BID_ID_BYTES);
}

static void put_tail(struct qb_writer *writer, const struct qb_entry *entry, bool is_public)
{
    qb_put_int(writer, entry->recv_us);
    qb_put_int(writer, entry->now_us);
    qb_put_uint(writer, entry->target_seq, 8);
    qb_put_int(writer, entry->end_us);
    QB_ASSERT(entry->text_length <= QB_REASON_BYTES_MAX);
    qb_put_uint(writer, entry->text_length, 2);
    qb_put(writer, entry->text, entry->text_length);
    QB_ASSERT((entry->type == QB_ENTRY_OPEN) == (entry->rules != NULL));
    if (entry->rules != NULL) qb_rules_put(writer, entry->rules, is_public);
}

size_t qb_entry_encode(const struct qb_entry *entry, uint8_t *bytes)
{
    struct qb_writer writer = {.bytes = bytes, .room = QB_ENTRY_BYTES_MAX};

    put_head(&writer, entry);
    qb_put_uint(&writer, entry->bidder, 8);
    qb_put_uint(&writer, entry->actor, 8);
    qb_put_int(&writer, entry->max);
    qb_put(&writer, entry->currency, QB_CURRENCY_BYTES);
    qb_put_int(&writer, entry->allowance);
    put_tail(&writer, entry, false);
    return writer.length;
}

/* Whether the fold can take it: times that cannot overflow, and rules that it can work by. */
static bool is_foldable(const struct qb_entry *entry)
{
    return qb_time_is_in_range(entry->recv_us) && qb_time_is_in_range(entry->now_us) &&
           qb_time_is_in_range(entry->end_us) &&
           (entry->rules == NULL || qb_rules_are_foldable(entry->rules));
}

bool qb_entry_decode(const uint8_t *bytes, size_t length, struct qb_entry *entry,
                     struct qb_rules *rules)
{
    struct qb_reader reader = {.bytes = bytes, .length = length};

    (void)memset(entry, 0, sizeof *entry);
    if (qb_take_uint(&reader, 1) != QB_ENTRY_VERSION) return false;
    entry->auction = qb_take_uint(&reader, 8);
    entry->epoch = (uint32_t)qb_take_uint(&reader, 4);
    entry->seq = qb_take_uint(&reader, 8);
    entry->type = (uint8_t)qb_take_uint(&reader, 1);
    entry->by = (uint8_t)qb_take_uint(&reader, 1);
    entry->reason = (uint8_t)qb_take_uint(&reader, 1);
    qb_take(&reader, entry->bid_id, QB_BID_ID_BYTES);
    entry->bidder = qb_take_uint(&reader, 8);
    entry->actor = qb_take_uint(&reader, 8);
    entry->max = qb_take_int(&reader);
    qb_take(&reader, entry->currency, QB_CURRENCY_BYTES);
    entry->allowance = qb_take_int(&reader);
    entry->recv_us = qb_take_int(&reader);
    entry->now_us = qb_take_int(&reader);
    entry->target_seq = qb_take_uint(&reader, 8);
    entry->end_us = qb_take_int(&reader);
    entry->text_length = (uint16_t)qb_take_uint(&reader, 2);
    if (reader.is_bad || entry->text_length > QB_REASON_BYTES_MAX) return false;
    qb_take(&reader, entry->text, entry->text_length);
    bool is_known = qb_entry_type_name((enum qb_entry_type)entry->type) != NULL &&
                    entry->by <= QB_ACTOR_ADMIN && entry->currency[QB_CURRENCY_BYTES - 1] == '\0';
    if (!is_known) return false;
    if (entry->type == QB_ENTRY_OPEN) {
        qb_rules_take(&reader, rules);
        entry->rules = rules;
    }
    return !reader.is_bad && reader.at == reader.length && is_foldable(entry);
}

static void put_hidden_id(struct qb_writer *writer, const uint8_t secret[QB_SECRET_BYTES], qb_id id)
{
    uint8_t digest[QB_SHA256_BYTES] = {0};

    if (id != 0) qb_bidder_hidden(secret, id, digest);
    qb_put(writer, digest, sizeof digest);
}

void qb_bidder_hidden(const uint8_t secret[QB_SECRET_BYTES], qb_id bidder,
                      uint8_t digest[QB_SHA256_BYTES])
{
    uint8_t bytes[8];
    struct qb_writer writer = {.bytes = bytes, .room = sizeof bytes};

    qb_put_uint(&writer, bidder, 8);
    qb_sha256_hmac(secret, QB_SECRET_BYTES, bytes, sizeof bytes, digest);
}

/* SHA-256 of a salt and the amount: the salt keeps the few likely amounts from being tried out. */
static void put_hidden_max(struct qb_writer *writer, const uint8_t secret[QB_SECRET_BYTES],
                           const struct qb_entry *entry)
{
    uint8_t digest[QB_SHA256_BYTES];
    uint8_t bytes[SALT_BYTES + 8];
    struct qb_writer salted = {.bytes = bytes, .room = sizeof bytes};

    qb_sha256_hmac(secret, QB_SECRET_BYTES, entry->bid_id, QB_BID_ID_BYTES, digest);
    qb_put(&salted, digest, SALT_BYTES);
    qb_put_int(&salted, entry->max);
    qb_sha256_of(bytes, sizeof bytes, digest);
    qb_put(writer, digest, sizeof digest);
}

size_t qb_entry_public_form(const struct qb_entry *entry, const uint8_t secret[QB_SECRET_BYTES],
                            uint8_t *bytes)
{
    struct qb_writer writer = {.bytes = bytes, .room = QB_ENTRY_BYTES_MAX + 128};
    uint8_t digest[QB_SHA256_BYTES];
    uint8_t hidden[QB_SECRET_BYTES + 8];
    struct qb_writer reserve = {.bytes = hidden, .room = sizeof hidden};

    put_head(&writer, entry);
    put_hidden_id(&writer, secret, entry->bidder);
    put_hidden_id(&writer, secret, entry->actor);
    put_hidden_max(&writer, secret, entry);
    qb_put(&writer, entry->currency, QB_CURRENCY_BYTES);
    put_tail(&writer, entry, true);
    if (entry->rules != NULL) {
        qb_put(&reserve, secret, QB_SECRET_BYTES);
        qb_put_int(&reserve, entry->rules->reserve);
        qb_sha256_of(hidden, sizeof hidden, digest);
        qb_put(&writer, digest, sizeof digest);
    }
    return writer.length;
}

static void hash_part(struct qb_sha256 *sha, const void *bytes, size_t length)
{
    uint8_t width[2] = {(uint8_t)length, (uint8_t)(length >> 8)};

    qb_sha256_update(sha, width, sizeof width);
    qb_sha256_update(sha, bytes, length);
}

static void hash_id(struct qb_sha256 *sha, qb_id id)
{
    uint8_t bytes[8];
    struct qb_writer writer = {.bytes = bytes, .room = sizeof bytes};

    qb_put_uint(&writer, id, 8);
    hash_part(sha, bytes, sizeof bytes);
}

void qb_bid_id(qb_id auction, qb_id bidder, const char *key, size_t key_length,
               uint8_t bid_id[QB_BID_ID_BYTES])
{
    uint8_t digest[QB_SHA256_BYTES];
    struct qb_sha256 sha;

    QB_ASSERT(key_length <= QB_KEY_BYTES_MAX);
    qb_sha256_init(&sha);
    hash_id(&sha, auction);
    hash_id(&sha, bidder);
    hash_part(&sha, key, key_length);
    qb_sha256_final(&sha, digest);
    (void)memcpy(bid_id, digest, QB_BID_ID_BYTES);
}

bool qb_key_is_valid(const char *key, size_t length)
{
    if (length < 1 || length > QB_KEY_BYTES_MAX) return false;
    for (size_t i = 0; i < length; i++) {
        char c = key[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
        if (!is_good) return false;
    }
    return true;
}

uint64_t qb_entry_asked(const struct qb_entry *entry)
{
    uint8_t bytes[256 + QB_REASON_BYTES_MAX];
    uint8_t digest[QB_SHA256_BYTES];
    struct qb_writer writer = {.bytes = bytes, .room = sizeof bytes};
    struct qb_reader reader = {.bytes = digest, .length = sizeof digest};

    qb_put_uint(&writer, entry->type, 1);
    qb_put_uint(&writer, entry->reason, 1);
    qb_put_uint(&writer, entry->bidder, 8);
    qb_put_int(&writer, entry->max);
    qb_put(&writer, entry->currency, QB_CURRENCY_BYTES);
    qb_put_uint(&writer, entry->target_seq, 8);
    qb_put_int(&writer, entry->end_us);
    qb_put(&writer, entry->text, entry->text_length);
    qb_sha256_of(bytes, writer.length, digest);
    uint64_t asked = qb_take_uint(&reader, 8);
    return asked != 0 ? asked : 1;
}

void qb_bidder_label(const uint8_t secret[QB_SECRET_BYTES], qb_id bidder,
                     char label[QB_LABEL_BYTES])
{
    static const char digits[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    uint8_t digest[QB_SHA256_BYTES];

    qb_bidder_hidden(secret, bidder, digest);
    uint32_t bits = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                    (uint32_t)digest[2] << 8 | digest[3];
    for (size_t i = 0; i < QB_LABEL_BYTES - 1; i++) {
        label[i] = digits[bits >> 27];
        bits <<= 5;
    }
    label[QB_LABEL_BYTES - 1] = '\0';
}
