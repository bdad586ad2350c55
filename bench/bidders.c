#include "bench/bidders.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure.h"

#define SIGN_IN_LIMIT_US (60 * QB_SECOND_US)

static void signed_in(void *context, struct qb_peer *peer, const char *text, size_t length)
{
    size_t *count = context;

    if (memmem(text, length, "\"on\":", 5) != NULL) return;
    if (memmem(text, length, "\"ok\":true", 9) == NULL)
        qb_load_fail("auth of peer %u: %.*s", peer->index, (int)length, text);
    ++*count;
}

void qb_bidders_sign_in(struct qb_swarm *swarm, const char *const *tokens, size_t count)
{
    void (*frame)(void *, struct qb_peer *, const char *, size_t) = swarm->frame;
    void *context = swarm->context;
    int64_t limit_us = qb_clock_mono_us() + SIGN_IN_LIMIT_US;
    size_t done = 0;
    char text[1024];

    qb_swarm_open(swarm, 0, swarm->count);
    swarm->frame = signed_in;
    swarm->context = &done;
    for (size_t i = 0; i < count; i++) {
        int length =
            snprintf(text, sizeof text, "{\"id\":1,\"do\":\"auth\",\"token\":\"%s\"}", tokens[i]);
        qb_peer_send(&swarm->peers[i], text, (size_t)length);
    }
    while (done < count) {
        qb_swarm_turn(swarm, 10);
        if (qb_clock_mono_us() > limit_us) qb_load_fail("%zu of %zu signed in", done, count);
    }
    swarm->frame = frame;
    swarm->context = context;
}

void qb_bidder_send(struct qb_peer *peer, const struct qb_bench_bid *bid)
{
    char text[256];
    int length = snprintf(text, sizeof text,
                          "{\"id\":%zu,\"do\":\"bid\",\"auction\":\"%s\",\"max\":%lld,"
                          "\"currency\":\"USD\",\"key\":\"b%lld-%zu\"}",
                          bid->id, bid->auction, (long long)bid->max, (long long)bid->key, bid->id);

    qb_peer_send(peer, text, (size_t)length);
}
