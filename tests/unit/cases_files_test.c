/*
 * The command `quickbid cases`: it passes the worked cases, fails what differs, and takes any file
 * at all without falling over it.
 */
#include "app/cases.h"
#include "base/attributes.h"
#include "tests/kit/test.h"

#define FORMAT "{\"format\":\"quickbid-auction-cases/1\","
#define BEGIN  "\"cases\":[{\"id\":\"x\",\"settings\":{\"start_price\":100,\"ends_at\":9000"
#define STEPS  "},\"steps\":["
#define END    "]}]}"
#define BID    "{\"event\":{\"op\":\"bid\",\"t\":1,\"bidder\":\"A\",\"max\":500},\"expect\":"

static const struct {
    const char *says;
    int exit_code;
    const char *text;
} rows[] = {
    /* clang-format off */
    {"one that passes",   0, FORMAT BEGIN STEPS BID "{\"result\":\"LEADING\",\"price\":100}}" END},
    {"another price",     1, FORMAT BEGIN STEPS BID "{\"price\":101}}" END},
    {"another verdict",   1, FORMAT BEGIN STEPS BID "{\"result\":\"OUTBID\"}}" END},
    {"an unknown member", 0, FORMAT BEGIN STEPS BID "{\"price\":100,\"mood\":3}}" END},
    {"an unknown op",     1, FORMAT BEGIN STEPS "{\"event\":{\"op\":\"zap\"},\"expect\":{}}" END},
    {"no file",           2, NULL},
    {"an empty file",     2, ""},
    {"no JSON",           2, "{"},
    {"another format",    2, "{\"format\":\"quickbid-auction-cases/2\"}"},
    {"no cases at all",   1, FORMAT "\"cases\":[]}"},
    {"cases of no kind",  1, FORMAT "\"cases\":[7,null,{}]}"},
    {"no step",           1, FORMAT BEGIN ",\"increment_table\":[[0,0]]" STEPS END},
    {"no tick",           1, FORMAT BEGIN ",\"tick\":0" STEPS END},
    {"beyond all dates",  0, FORMAT BEGIN ",\"starts_at\":-4611686018427387904" STEPS BID "{}}" END},
    {"maxima the wrong way round", 1,
        FORMAT "\"price_vectors\":{\"rows\":[{\"m1\":5,\"m2\":9,\"price\":9}]}}"},
    {"a negative maximum", 1, FORMAT "\"price_vectors\":{\"rows\":[{\"m1\":-5,\"price\":1}]}}"},
    {"a clock of no kind", 1, FORMAT "\"clock_cases\":[7]}"},
    {"a payment of no kind", 1, FORMAT "\"payment_cases\":[7]}"},
    {"a late capture, by its status", 0, FORMAT "\"payment_cases\":[{\"events\":"
        "[\"SOLD\",\"DEADLINE\",\"PAY_OK\"],\"states\":[\"PENDING\",\"EXPIRED\",\"EXPIRED\"]}]}"},
    {"a late capture, by its money", 0, FORMAT "\"payment_cases\":[{\"events\":"
        "[\"SOLD\",\"DEADLINE\",\"PAY_OK\"],\"states\":[\"PENDING\",\"EXPIRED\",\"REFUND_DUE\"]}]}"},
    {"a late capture that revives", 1, FORMAT "\"payment_cases\":[{\"events\":"
        "[\"SOLD\",\"DEADLINE\",\"PAY_OK\"],\"states\":[\"PENDING\",\"EXPIRED\",\"PAID\"]}]}"},
    /* clang-format on */
};

static int run(const char *text)
{
    char path[] = "/tmp/quickbid-cases-XXXXXX";
    int file = mkstemp(path);

    if (file < 0) abort();
    size_t length = text != NULL ? strlen(text) : 0;
    if (length > 0 && write(file, text, length) != (ssize_t)length) abort();
    (void)close(file);
    if (text == NULL) (void)unlink(path);
    int exit_code = qb_cases_run(path);
    (void)unlink(path);
    return exit_code;
}

QB_TEST(a_file_passes_fails_or_is_not_read)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT_EQ(run(rows[i].text), rows[i].exit_code, rows[i].says);
    }
}

QB_TEST(a_folder_is_not_read)
{
    QB_EXPECT_EQ(qb_cases_run("/tmp"), 2, "a folder");
}

QB_TEST(a_hundred_bidders_are_no_crowd)
{
    static char text[32768] = FORMAT BEGIN STEPS;
    size_t length = strlen(text);

    for (int i = 0; i < 100; i++) {
        length += (size_t)snprintf(&text[length], sizeof text - length,
                                   "%s{\"event\":{\"op\":\"bid\",\"t\":%d,\"bidder\":\"B%d\","
                                   "\"max\":%d},\"expect\":{\"result\":\"LEADING\"}}",
                                   i > 0 ? "," : "", i + 1, i, 1000 * (i + 1));
    }
    (void)snprintf(&text[length], sizeof text - length, END);
    QB_EXPECT_EQ(run(text), 0, "each leads");
}

QB_TEST(the_worked_cases_pass)
{
    QB_EXPECT_EQ(qb_cases_run(QB_SOURCE_DIR "/tests/cases/auction-cases.json"), 0, "all of them");
}
