/*
 * The scenarios of the load client. Each prints one JSON object on standard output.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define QB_LISTED_MAX 1000

struct qb_load_options {
    uint16_t port;
    int pid;            /* of the server */
    size_t connections; /* watchers, idle or HTTP connections */
    double seconds;
    double rate;  /* bids a second; 0: one update in flight */
    int64_t base; /* maxima begin above this */
    const char *path;
    size_t token_count;
    size_t auction_count;
    const char *tokens[QB_LISTED_MAX];
    const char *auctions[QB_LISTED_MAX];
};

/* Memory of an idle connection; handshakes and an inbound message at 0, half and all of them. */
void qb_scenario_connections(const struct qb_load_options *options);

/* All watch one auction whose price changes. */
void qb_scenario_watch(const struct qb_load_options *options);

/* Bids at a fixed rate; times count from when a bid was meant to leave, not from when it did. */
void qb_scenario_bid(const struct qb_load_options *options);

/* GET of one path, over and over on every connection. */
void qb_scenario_http(const struct qb_load_options *options);
