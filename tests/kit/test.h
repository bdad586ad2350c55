/*
 * The whole test kit: tests register themselves, expectations say what they show, a run prints
 * each failure and closes with a count. A test program is its tests and this header's main.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct qb_test {
    const char *name;
    void (*run)(void);
    struct qb_test *next;
};

static struct qb_test *qb_tests;
static struct qb_test **qb_tests_end = &qb_tests;
static int qb_test_failures;

#define QB_TEST(name)                                                                              \
    static void name(void);                                                                        \
    __attribute__((constructor)) static void name##_register(void)                                 \
    {                                                                                              \
        static struct qb_test test = {#name, name, NULL};                                          \
        *qb_tests_end = &test;                                                                     \
        qb_tests_end = &test.next;                                                                 \
    }                                                                                              \
    static void name(void)

/* `says` tells in a word or two what the row shows. */
#define QB_EXPECT(condition, says)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            qb_test_failures++;                                                                    \
            (void)printf("%s:%d: expected %s (%s)\n", __FILE__, __LINE__, #condition, says);       \
        }                                                                                          \
    } while (0)

#define QB_EXPECT_EQ(seen, expected, says)                                                         \
    do {                                                                                           \
        int64_t qb_seen = (int64_t)(seen);                                                         \
        int64_t qb_expected = (int64_t)(expected);                                                 \
        if (qb_seen != qb_expected) {                                                              \
            qb_test_failures++;                                                                    \
            (void)printf("%s:%d: %s is %" PRId64 ", expected %" PRId64 " (%s)\n", __FILE__,        \
                         __LINE__, #seen, qb_seen, qb_expected, says);                             \
        }                                                                                          \
    } while (0)

#define QB_EXPECT_TEXT(seen, expected, says)                                                       \
    do {                                                                                           \
        const char *qb_text_seen = (seen);                                                         \
        const char *qb_text_expected = (expected);                                                 \
        if (qb_text_seen == NULL || strcmp(qb_text_seen, qb_text_expected) != 0) {                 \
            qb_test_failures++;                                                                    \
            (void)printf("%s:%d: %s is \"%s\", expected \"%s\" (%s)\n", __FILE__, __LINE__, #seen, \
                         qb_text_seen != NULL ? qb_text_seen : "(null)", qb_text_expected, says);  \
        }                                                                                          \
    } while (0)

/* Runs `statement` in a child process and expects it to abort. */
#define QB_EXPECT_DEATH(statement, says)                                                           \
    do {                                                                                           \
        (void)fflush(NULL);                                                                        \
        pid_t qb_child = fork();                                                                   \
        if (qb_child == 0) {                                                                       \
            if (freopen("/dev/null", "w", stderr) == NULL) _exit(0);                               \
            statement;                                                                             \
            _exit(0);                                                                              \
        }                                                                                          \
        int qb_status = 0;                                                                         \
        (void)waitpid(qb_child, &qb_status, 0);                                                    \
        QB_EXPECT(!(WIFEXITED(qb_status) && WEXITSTATUS(qb_status) == 0), says);                   \
    } while (0)

/* Runs all tests, or those whose name contains the first argument. */
int main(int argument_count, char **arguments)
{
    int passed = 0;
    int failed = 0;

    for (struct qb_test *test = qb_tests; test != NULL; test = test->next) {
        if (argument_count > 1 && strstr(test->name, arguments[1]) == NULL) continue;
        int before = qb_test_failures;
        test->run();
        if (qb_test_failures == before)
            passed++;
        else
            failed++;
        if (qb_test_failures != before) (void)printf("FAILED %s\n", test->name);
    }
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
