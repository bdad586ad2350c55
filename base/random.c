#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

void qb_random_secret(void *bytes, size_t length)
{
    uint8_t *at = bytes;

    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR) continue;
        QB_ASSERT(got > 0);
        at += got;
        length -= (size_t)got;
    }
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void qb_random_seed(struct qb_random *random, uint64_t seed)
{
    for (size_t i = 0; i < QB_COUNT(random->state); i++) { /* splitmix64, as its authors advise */
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
        random->state[i] = mixed ^ (mixed >> 31);
    }
}

uint64_t qb_random_next(struct qb_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t qb_random_below(struct qb_random *random, uint64_t below)
{
    QB_ASSERT(below > 0);
    return qb_random_next(random) % below;
}
