/* The order of words in registers is that of the instructions: Intel's manual, SHA256RNDS2. */
#include "base/assert.h"
#include "base/sha256_block.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SSSE3 (1U << 9)  /* leaf 1, ecx */
#define SSE41 (1U << 19) /* leaf 1, ecx */
#define SHA   (1U << 29) /* leaf 7, ebx */

bool qb_sha256_has_instructions(void)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;

    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & SSSE3) == 0 || (c & SSE41) == 0) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & SHA) != 0;
}

static __m128i load(const void *at)
{
    return _mm_loadu_si128(at);
}

__attribute__((target("sha,sse4.1"))) void
qb_sha256_block_instructions(uint32_t state[8], const uint8_t block[QB_SHA256_BLOCK_BYTES])
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i dcba = _mm_shuffle_epi32(load(&state[0]), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(load(&state[4]), 0x1b);
    const __m128i abef = _mm_alignr_epi8(dcba, hgfe, 8);
    const __m128i cdgh = _mm_blend_epi16(hgfe, dcba, 0xf0);
    __m128i low = abef;
    __m128i high = cdgh;
    __m128i words[4];

    for (unsigned i = 0; i < 4; i++) {
        words[i] = _mm_shuffle_epi8(load(&block[i * 16]), big_endian);
    }
    for (unsigned i = 0; i < 16; i++) { /* four rounds each */
        const __m128i last = words[(i + 3) % 4];
        __m128i sum = _mm_add_epi32(words[i % 4], load(&qb_sha256_constants[i * 4]));
        high = _mm_sha256rnds2_epu32(high, low, sum);
        low = _mm_sha256rnds2_epu32(low, high, _mm_shuffle_epi32(sum, 0x0e));
        if (i >= 12) continue;
        sum = _mm_sha256msg1_epu32(words[i % 4], words[(i + 1) % 4]);
        sum = _mm_add_epi32(sum, _mm_alignr_epi8(last, words[(i + 2) % 4], 4));
        words[i % 4] = _mm_sha256msg2_epu32(sum, last);
    }
    low = _mm_shuffle_epi32(_mm_add_epi32(low, abef), 0x1b);   /* abef to feba */
    high = _mm_shuffle_epi32(_mm_add_epi32(high, cdgh), 0xb1); /* cdgh to dchg */
    _mm_storeu_si128((__m128i *)(void *)&state[0], _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)&state[4], _mm_alignr_epi8(high, low, 8));
}

#else

bool qb_sha256_has_instructions(void)
{
    return false;
}

void qb_sha256_block_instructions(uint32_t state[8], const uint8_t block[QB_SHA256_BLOCK_BYTES])
{
    (void)state;
    (void)block;
    QB_ASSERT(false);
}

#endif
