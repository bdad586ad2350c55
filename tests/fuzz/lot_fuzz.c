#include "bidding/lot.h"
#include "tests/fuzz/fuzz.h"

/* A snapshot that is taken holds its invariants and is written as the same bytes. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct qb_lot lot;
    uint8_t again[QB_LOT_BYTES_MAX];
    uint8_t *copy = copy_of(bytes, length);

    if (qb_lot_decode(copy, length, &lot)) {
        qb_lot_check(&lot);
        QB_ASSERT(qb_lot_encode(&lot, again) == length);
        QB_ASSERT(memcmp(again, bytes, length) == 0);
    }
    free(copy);
    return 0;
}
