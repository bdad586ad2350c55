/*
 * qb_load SCENARIO --port N --pid N [options]: one scenario against a running server; see
 * bench/scenario.h. bench/run.py starts the servers and compares.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/scenario.h"
#include "bench/swarm.h"

static const struct {
    const char *name;
    void (*run)(const struct qb_load_options *options);
} scenarios[] = {
    {"connections", qb_scenario_connections},
    {"watch", qb_scenario_watch},
    {"bid", qb_scenario_bid},
    {"http", qb_scenario_http},
    {"replicas", qb_scenario_replicas},
    {"comeback", qb_scenario_comeback},
};

static double number(const char *text, double least, double most)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (*end != '\0' || end == text || value < least || value > most) {
        qb_load_fail("%s is not a number from %g to %g", text, least, most);
    }
    return value;
}

/* One word a line. The words live as long as the process. */
static size_t read_list(const char *path, const char **list)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    size_t count = 0;

    if (file == NULL) qb_load_fail("cannot read %s: %s", path, strerror(errno));
    /* cppcheck-suppress nullPointerRedundantCheck ; qb_load_fail() does not return */
    while (count < QB_LISTED_MAX && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        list[count++] = strdup(line);
    }
    (void)fclose(file);
    return count;
}

/* "4010,4011" */
static void read_ports(const char *text, struct qb_load_options *options)
{
    char *rest = NULL;
    char *copy = strdup(text);

    for (char *word = strtok_r(copy, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        if (options->port_count == QB_PORTS_MAX) qb_load_fail("more than %d ports", QB_PORTS_MAX);
        options->ports[options->port_count++] = (uint16_t)number(word, 1, 65535);
    }
    free(copy);
}

static const struct option names[] = {
    {"port", required_argument, NULL, 'p'},
    {"pid", required_argument, NULL, 'i'},
    {"connections", required_argument, NULL, 'c'},
    {"seconds", required_argument, NULL, 's'},
    {"rate", required_argument, NULL, 'r'},
    {"base", required_argument, NULL, 'b'},
    {"path", required_argument, NULL, 'u'},
    {"tokens", required_argument, NULL, 't'},
    {"auctions", required_argument, NULL, 'a'},
    {"bids", required_argument, NULL, 'n'},
    {"window", required_argument, NULL, 'w'},
    {"burst", required_argument, NULL, 'm'},
    {"streak", no_argument, NULL, 'x'},
    {"watch", no_argument, NULL, 'l'},
    {"acknowledged", required_argument, NULL, 'k'},
    {NULL, 0, NULL, 0},
};

static void parse(int count, char **words, struct qb_load_options *options)
{
    for (int name = 0; (name = getopt_long(count, words, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p':
            read_ports(optarg, options);
            break;
        case 'i':
            options->pid = (int)number(optarg, 1, 1e9);
            break;
        case 'c':
            options->connections = (size_t)number(optarg, 1, 100000);
            break;
        case 's':
            options->seconds = number(optarg, 0.1, 600);
            break;
        case 'r':
            options->rate = number(optarg, 0, 1e6);
            break;
        case 'b':
            options->base = (int64_t)number(optarg, 0, 1e12);
            break;
        case 'u':
            options->path = optarg;
            break;
        case 't':
            options->token_count = read_list(optarg, options->tokens);
            break;
        case 'a':
            options->auction_count = read_list(optarg, options->auctions);
            break;
        case 'n':
            options->bids = (size_t)number(optarg, 1, 1e7);
            break;
        case 'w':
            options->window = (size_t)number(optarg, 1, 1e5);
            break;
        case 'm':
            options->burst = (size_t)number(optarg, 1, 1e5);
            break;
        case 'x':
            options->is_streak = true;
            break;
        case 'l':
            options->must_watch = true;
            break;
        case 'k':
            options->acknowledged = optarg;
            break;
        default:
            exit(2);
        }
    }
}

int main(int count, char **words)
{
    static struct qb_load_options options = {
        .connections = 1000, .seconds = 2, .window = 500, .burst = 1, .path = "/"};

    if (count < 2) qb_load_fail("which scenario?");
    parse(count - 1, words + 1, &options);
    if (options.port_count == 0) qb_load_fail("--port is needed");
    for (size_t i = 0; i < QB_COUNT(scenarios); i++) {
        if (strcmp(words[1], scenarios[i].name) != 0) continue;
        scenarios[i].run(&options);
        return 0;
    }
    qb_load_fail("no scenario %s", words[1]);
}
