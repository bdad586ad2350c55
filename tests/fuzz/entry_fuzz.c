#include "bidding/entry.h"
#include "tests/fuzz/fuzz.h"

/* Bytes that are taken as an entry are exactly the ones that the entry is written as: there is one
 * encoding, and the hash chain over it means something. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const uint8_t secret[QB_SECRET_BYTES];
    uint8_t again[QB_ENTRY_BYTES_MAX];
    uint8_t shown[QB_ENTRY_BYTES_MAX + 128];
    struct qb_entry entry;
    struct qb_rules rules;
    uint8_t *copy = copy_of(bytes, length);

    if (qb_entry_decode(copy, length, &entry, &rules)) {
        QB_ASSERT(entry.type > 0 && entry.type < QB_ENTRY_TYPE_COUNT);
        QB_ASSERT(qb_entry_encode(&entry, again) == length);
        QB_ASSERT(memcmp(again, bytes, length) == 0);
        QB_ASSERT(qb_entry_public_form(&entry, secret, shown) <= sizeof shown);
        QB_ASSERT(qb_entry_asked(&entry) != 0);
    }
    free(copy);
    return 0;
}
