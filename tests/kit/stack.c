#include "tests/kit/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { VALUES_MAX = 16, LINE_BYTES = 1024 };

static struct {
    char folder[64]; /* empty: nothing runs */
    pid_t owner;     /* a forked child shall not end its parent's servers */
    int value_count;
    struct {
        char *name;
        char *value;
    } values[VALUES_MAX];
} stack;

static void must(int is_true, const char *what)
{
    if (is_true) return;
    (void)fprintf(stderr, "stack: cannot go on: %s\n", what);
    exit(1);
}

static int ask(const char *command, const char *words)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "'%s/k8s/stack' %s --dir '%s' %s >'%s/answer'",
                          QB_SOURCE_DIR, command, stack.folder, words, stack.folder);

    must(length > 0 && length < LINE_BYTES, "a command is too long");
    return system(line);
}

static void read_value(char *line)
{
    static const char prefix[] = "export ";
    char *value = strchr(line, '=');

    line[strcspn(line, "\n")] = '\0';
    must(value != NULL && strncmp(line, prefix, sizeof prefix - 1) == 0, "a strange line in env");
    must(stack.value_count < VALUES_MAX, "too many values");
    *value = '\0';
    stack.values[stack.value_count].name = strdup(line + sizeof prefix - 1);
    stack.values[stack.value_count].value = strdup(value + 1);
    stack.value_count++;
}

static void read_values(void)
{
    char path[96];
    char line[LINE_BYTES];

    (void)snprintf(path, sizeof path, "%s/env", stack.folder);
    FILE *file = fopen(path, "re");
    must(file != NULL, path);
    while (fgets(line, sizeof line, file) != NULL) read_value(line);
    (void)fclose(file);
}

void qb_stack_start(const char *parts)
{
    char words[256];

    must(stack.folder[0] == '\0', "it runs already");
    (void)snprintf(stack.folder, sizeof stack.folder, "/tmp/qb-stack-XXXXXX");
    must(mkdtemp(stack.folder) != NULL, "no folder");
    stack.owner = getpid();
    must(atexit(qb_stack_stop) == 0, "atexit");
    (void)snprintf(words, sizeof words, "--with %ld %s", (long)stack.owner, parts);
    must(ask("up", words) == 0, "the servers did not start");
    read_values();
}

const char *qb_stack_value(const char *name)
{
    for (int i = 0; i < stack.value_count; i++) {
        if (strcmp(stack.values[i].name, name) == 0) return stack.values[i].value;
    }
    must(0, name);
    return NULL;
}

FILE *qb_stack_log(const char *server)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s/log/%s", stack.folder, server);
    FILE *file = fopen(path, "re");
    must(file != NULL, path);
    return file;
}

void qb_stack_kill(const char *server)
{
    must(ask("kill", server) == 0, server);
}

void qb_stack_revive(const char *server)
{
    must(ask("start", server) == 0, server);
}

void qb_stack_await_replicas(int count)
{
    char line[LINE_BYTES];

    (void)snprintf(line, sizeof line,
                   "for i in $(seq 300); do redis-cli --no-auth-warning -u '%s' sentinel master "
                   "shard-0 | grep -A1 -x num-slaves | grep -qx %d && exit 0; sleep 0.1; done; "
                   "exit 1",
                   qb_stack_value("REDIS_SENTINEL_URL"), count);
    must(system(line) == 0, "Sentinel knows no such number of replicas");
}

void qb_stack_freeze(const char *server)
{
    must(ask("freeze", server) == 0, server);
}

void qb_stack_thaw(const char *server)
{
    must(ask("thaw", server) == 0, server);
}

void qb_stack_wipe(const char *server)
{
    must(ask("wipe", server) == 0, server);
}

void qb_stack_rabbitmqctl(const char *words)
{
    char all[LINE_BYTES / 2];
    int length = snprintf(all, sizeof all, "-- %s", words);

    must(length > 0 && length < (int)sizeof all, "a command is too long");
    must(ask("rabbitmqctl", all) == 0, words);
}

void qb_stack_stop(void)
{
    char line[LINE_BYTES];

    if (stack.folder[0] == '\0' || getpid() != stack.owner) return;
    (void)ask("down", "--now");
    (void)snprintf(line, sizeof line, "rm -rf '%s'", stack.folder);
    if (system(line) != 0) (void)fprintf(stderr, "stack: %s stays\n", stack.folder);
    stack.folder[0] = '\0';
    for (int i = 0; i < stack.value_count; i++) {
        free(stack.values[i].name);
        free(stack.values[i].value);
    }
    stack.value_count = 0;
}
