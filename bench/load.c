/*
 * The load client: one scenario a run, its figures as JSON on standard output.
 *
 * load SCENARIO PORT PID [N] [SECONDS] [RATE] [FILE]
 *   handshakes  N connections: opened a second, server's processor time for each, resident bytes
 *   inbound     N idle connections, RATE pings a second on one of them for SECONDS
 *   fanout      N watchers; two bidders raise the price, the next bid when all have the update
 *   floor       the same against bench/floor
 *   bids        bidders of FILE bid RATE times a second over its auctions for SECONDS (open loop)
 *   http        N connections ask for the path in FILE, the next when the answer is there
 *
 * FILE of fanout and bids: lines "token TOKEN" and "auction ID".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client.h"

#define TOKENS_MAX    4096
#define AUCTIONS_MAX  4096
#define STEP          30000 /* minor units: above any increment of the default table */
#define LATENCIES_MAX (1U << 22)

static struct {
    struct bench bench;
    int pid;
    size_t n;
    double seconds;
    double rate;
    const char *file;
    char *tokens[TOKENS_MAX];
    size_t token_count;
    char *auctions[AUCTIONS_MAX];
    int64_t amounts[AUCTIONS_MAX];
    size_t auction_count;
    uint64_t answered;
    uint64_t accepted;
    int64_t *sent_us; /* by command id: when it should have been sent */
    int64_t *latencies_us;
    size_t latency_count;
} run;

static void read_file(const char *path)
{
    char line[2048];
    FILE *file = fopen(path, "re");

    if (file == NULL) bench_fail(path);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "token ", 6) == 0 && run.token_count < TOKENS_MAX) {
            run.tokens[run.token_count++] = strdup(line + 6);
        } else if (strncmp(line, "auction ", 8) == 0 && run.auction_count < AUCTIONS_MAX) {
            run.auctions[run.auction_count++] = strdup(line + 8);
        }
    }
    (void)fclose(file);
}

static void ignore(struct bench *bench, struct bench_connection *connection, const char *text,
                   size_t length)
{
    (void)bench;
    (void)connection;
    (void)text;
    (void)length;
}

/* Sends `text` on `connection` and waits for one frame in answer. */
static void ask(struct bench_connection *connection, const char *text)
{
    connection->frames = 0;
    bench_send(connection, text, strlen(text));
    for (int i = 0; connection->frames == 0; i++) {
        if (i > 10000) bench_fail("no answer to a command");
        bench_turn(&run.bench, 1);
    }
}

static void sign_in(size_t connection, size_t token)
{
    char text[1024];

    (void)snprintf(text, sizeof text, "{\"id\":1,\"do\":\"auth\",\"token\":\"%s\"}",
                   run.tokens[token % run.token_count]);
    ask(&run.bench.connections[connection], text);
}

static void handshakes(void)
{
    int64_t cpu_us = bench_cpu_us(run.pid);
    int64_t resident = bench_resident_bytes(run.pid);
    int64_t began_us = bench_now_us();

    bench_open(&run.bench, run.n, false);
    int64_t took_us = bench_now_us() - began_us;
    double each = (double)(bench_cpu_us(run.pid) - cpu_us) / (double)run.n;
    double bytes = (double)(bench_resident_bytes(run.pid) - resident) / (double)run.n;
    (void)printf("{\"connections\":%zu,\"per_second\":%.0f,\"cpu_us_each\":%.1f,"
                 "\"resident_bytes_each\":%.0f}\n",
                 run.n, (double)run.n * 1e6 / (double)took_us, each, bytes);
}

static void inbound(void)
{
    static const char ping[] = "{\"id\":1,\"do\":\"ping\"}";
    int64_t pings = 0;

    bench_open(&run.bench, run.n + 1, false);
    struct bench_connection *one = &run.bench.connections[run.n];
    int64_t began_us = bench_now_us();
    int64_t cpu_us = bench_cpu_us(run.pid);
    while (bench_now_us() - began_us < (int64_t)(run.seconds * 1e6)) {
        if ((double)pings < (double)(bench_now_us() - began_us) / 1e6 * run.rate) {
            bench_send(one, ping, sizeof ping - 1);
            pings++;
        } else {
            bench_turn(&run.bench, 1);
        }
    }
    (void)printf("{\"idle\":%zu,\"messages\":%" PRId64 ",\"cpu_us_each\":%.1f}\n", run.n, pings,
                 (double)(bench_cpu_us(run.pid) - cpu_us) / (double)pings);
}

/* One update to all of the first N connections: waits until each has a frame. */
static void await_all(void)
{
    size_t left = run.n;
    int64_t began_us = bench_now_us();

    while (left > 0) {
        bench_turn(&run.bench, 100);
        left = 0;
        for (size_t i = 0; i < run.n; i++) left += run.bench.connections[i].frames == 0;
        if (bench_now_us() - began_us > 20000000) bench_fail("an update did not arrive");
    }
    for (size_t i = 0; i < run.n; i++) run.bench.connections[i].frames = 0;
}

static void send_bid(size_t connection, size_t auction, uint64_t id)
{
    char text[256];
    int64_t max = run.amounts[auction] += STEP;

    int length = snprintf(text, sizeof text,
                          "{\"id\":%" PRIu64 ",\"do\":\"bid\",\"auction\":\"%s\",\"max\":%" PRId64
                          ",\"currency\":\"USD\",\"key\":\"k%d-%" PRIu64 "\"}",
                          id, run.auctions[auction], max, (int)run.pid, id);
    bench_send(&run.bench.connections[connection], text, (size_t)length);
}

static void fanout(bool is_floor)
{
    char watch[128];
    uint64_t rounds = 0;

    bench_open(&run.bench, run.n + 2, false);
    if (!is_floor) {
        read_file(run.file);
        (void)snprintf(watch, sizeof watch, "{\"id\":2,\"do\":\"watch\",\"auction\":\"%s\"}",
                       run.auctions[0]);
        for (size_t i = 0; i < run.n; i++) ask(&run.bench.connections[i], watch);
        for (size_t i = 0; i < 2; i++) sign_in(run.n + i, i);
        for (size_t i = 0; i < run.n; i++) run.bench.connections[i].frames = 0;
    }
    int64_t cpu_us = bench_cpu_us(run.pid);
    int64_t began_us = bench_now_us();
    while (bench_now_us() - began_us < (int64_t)(run.seconds * 1e6)) {
        rounds++;
        if (is_floor)
            bench_send(&run.bench.connections[run.n], "x", 1);
        else
            send_bid(run.n + rounds % 2, 0, rounds + 10);
        await_all();
    }
    int64_t took_us = bench_now_us() - began_us;
    double deliveries = (double)(rounds * run.n);
    (void)printf("{\"watchers\":%zu,\"updates\":%" PRIu64 ",\"deliveries_per_second\":%.0f,"
                 "\"cpu_us_per_delivery\":%.3f}\n",
                 run.n, rounds, deliveries * 1e6 / (double)took_us,
                 (double)(bench_cpu_us(run.pid) - cpu_us) / deliveries);
}

static void take_verdict(struct bench *bench, struct bench_connection *connection, const char *text,
                         size_t length)
{
    uint64_t id = 0;
    char head[64] = "";

    (void)bench;
    (void)connection;
    (void)memcpy(head, text, length < sizeof head - 1 ? length : sizeof head - 1);
    if (sscanf(head, "{\"id\":%" SCNu64, &id) != 1 || id < 10) return;
    if (run.sent_us[id] == 0 || run.latency_count == LATENCIES_MAX) return;
    run.latencies_us[run.latency_count++] = bench_now_us() - run.sent_us[id];
    run.sent_us[id] = 0;
    run.answered++;
    if (strstr(head, "\"ok\":true") != NULL) run.accepted++;
}

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double quantile_ms(double q)
{
    size_t at = (size_t)(q * (double)(run.latency_count - 1));
    return (double)run.latencies_us[at] / 1000;
}

/* Open loop: each bid is timed from when it should have been sent, also when that was late. */
static void bids(void)
{
    uint64_t wanted = (uint64_t)(run.rate * run.seconds);
    uint64_t sent = 0;

    read_file(run.file);
    run.sent_us = calloc(wanted + 16, sizeof *run.sent_us);
    run.latencies_us = calloc(LATENCIES_MAX, sizeof *run.latencies_us);
    if (run.sent_us == NULL || run.latencies_us == NULL) bench_fail("memory");
    bench_open(&run.bench, run.token_count, false);
    for (size_t i = 0; i < run.token_count; i++) sign_in(i, i);
    int64_t cpu_us = bench_cpu_us(run.pid);
    int64_t began_us = bench_now_us();
    while (run.answered < wanted) {
        int64_t now_us = bench_now_us();
        int64_t due_us = began_us + (int64_t)((double)sent * 1e6 / run.rate);
        if (sent < wanted && now_us >= due_us) {
            run.sent_us[sent + 10] = due_us;
            send_bid(sent % run.token_count, sent % run.auction_count, sent + 10);
            sent++;
            if (sent % 16 != 0) continue;
        }
        bench_turn(&run.bench, sent < wanted ? 0 : 10);
        if (now_us - began_us > (int64_t)((run.seconds + 20) * 1e6)) bench_fail("verdicts missing");
    }
    int64_t took_us = bench_now_us() - began_us;
    double cpu_each = (double)(bench_cpu_us(run.pid) - cpu_us) / (double)run.answered;
    qsort(run.latencies_us, run.latency_count, sizeof *run.latencies_us, by_value);
    (void)printf("{\"bids\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"per_second\":%.0f,"
                 "\"cpu_us_each\":%.1f,\"p50_ms\":%.2f,\"p95_ms\":%.2f,\"p99_ms\":%.2f,"
                 "\"max_ms\":%.2f}\n",
                 run.answered, run.accepted, (double)run.answered * 1e6 / (double)took_us, cpu_each,
                 quantile_ms(0.5), quantile_ms(0.95), quantile_ms(0.99), quantile_ms(1));
}

static char http_request[512];
static size_t http_request_length;

static void take_answer(struct bench *bench, struct bench_connection *connection, const char *text,
                        size_t length)
{
    (void)bench;
    if (length < 12 || memcmp(text, "HTTP/1.1 200", 12) != 0)
        bench_fail("an answer that is not 200");
    run.answered++;
    bench_write(connection, http_request, http_request_length);
}

static void http(void)
{
    http_request_length = (size_t)snprintf(http_request, sizeof http_request,
                                           "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", run.file);
    bench_open(&run.bench, run.n, true);
    run.bench.received = take_answer;
    int64_t cpu_us = bench_cpu_us(run.pid);
    int64_t began_us = bench_now_us();
    for (size_t i = 0; i < run.n; i++) {
        bench_write(&run.bench.connections[i], http_request, http_request_length);
    }
    while (bench_now_us() - began_us < (int64_t)(run.seconds * 1e6)) bench_turn(&run.bench, 100);
    (void)printf("{\"connections\":%zu,\"per_second\":%.0f,\"cpu_us_each\":%.1f}\n", run.n,
                 (double)run.answered * 1e6 / (double)(bench_now_us() - began_us),
                 (double)(bench_cpu_us(run.pid) - cpu_us) / (double)run.answered);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 4) {
        (void)fprintf(stderr, "load SCENARIO PORT PID [N] [SECONDS] [RATE] [FILE]\n");
        return 2;
    }
    const char *scenario = arguments[1];
    run.bench.port = (uint16_t)strtoul(arguments[2], NULL, 10);
    run.bench.received = ignore;
    run.pid = (int)strtol(arguments[3], NULL, 10);
    run.n = argument_count > 4 ? strtoul(arguments[4], NULL, 10) : 1;
    run.seconds = argument_count > 5 ? strtod(arguments[5], NULL) : 1;
    run.rate = argument_count > 6 ? strtod(arguments[6], NULL) : 1;
    run.file = argument_count > 7 ? arguments[7] : "";
    if (strcmp(scenario, "handshakes") == 0)
        handshakes();
    else if (strcmp(scenario, "inbound") == 0)
        inbound();
    else if (strcmp(scenario, "fanout") == 0)
        fanout(false);
    else if (strcmp(scenario, "floor") == 0)
        fanout(true);
    else if (strcmp(scenario, "http") == 0)
        http();
    else if (strcmp(scenario, "bids") == 0) {
        run.bench.received = take_verdict;
        bids();
    } else {
        return 2;
    }
    bench_close_all(&run.bench);
    return 0;
}
