/*
 * What replicas tell each other about accounts, as bytes: every word comes back, and what is none
 * is refused.
 */
#include "app/control_parts.h"
#include "tests/kit/test.h"

static bool is_back(const struct qb_control_word *word)
{
    uint8_t bytes[QB_CONTROL_BYTES];
    struct qb_control_word seen;
    uint64_t process = 0;

    qb_control_write(word, UINT64_MAX - 1, bytes);
    return qb_control_read(bytes, sizeof bytes, &seen, &process) && process == UINT64_MAX - 1 &&
           seen.kind == word->kind && seen.revocation.login == word->revocation.login &&
           seen.revocation.user == word->revocation.user &&
           seen.revocation.since_us == word->revocation.since_us &&
           seen.revocation.until_us == word->revocation.until_us && seen.amount == word->amount &&
           strcmp(seen.currency, word->currency) == 0;
}

QB_TEST(every_word_comes_back)
{
    const struct qb_control_word out = {.kind = QB_CONTROL_REVOKED, .revocation = {7, 11, 5, 9}};
    const struct qb_control_word ban = {
        .kind = QB_CONTROL_BANNED, .revocation.user = 12, .amount = 1};
    const struct qb_control_word none = {
        .kind = QB_CONTROL_LIMITED, .revocation.user = UINT64_MAX, .amount = -1, .currency = "USD"};

    const struct qb_control_word described = {
        .kind = QB_CONTROL_DESCRIBED, .revocation.user = 77, .amount = INT64_MAX};

    QB_EXPECT(is_back(&described), "a change of what the catalogue says");
    QB_EXPECT(is_back(&out), "a logout");
    QB_EXPECT(is_back(&ban), "a ban");
    QB_EXPECT(is_back(&none), "no limit any more");
}

QB_TEST(what_is_no_word_is_refused)
{
    const struct qb_control_word ban = {.kind = QB_CONTROL_BANNED, .revocation.user = 12};
    uint8_t bytes[QB_CONTROL_BYTES + 1] = {0};
    struct qb_control_word seen;
    uint64_t process = 0;

    qb_control_write(&ban, 1, bytes);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        QB_EXPECT_EQ(qb_control_read(bytes, length, &seen, &process), length == QB_CONTROL_BYTES,
                     "another length");
    }
    bytes[0] = 2;
    QB_EXPECT(!qb_control_read(bytes, QB_CONTROL_BYTES, &seen, &process), "another version");
    bytes[0] = 1;
    bytes[1] = 5;
    QB_EXPECT(!qb_control_read(bytes, QB_CONTROL_BYTES, &seen, &process), "an unknown kind");
    bytes[1] = 0;
    QB_EXPECT(!qb_control_read(bytes, QB_CONTROL_BYTES, &seen, &process), "no kind");
    bytes[1] = QB_CONTROL_LIMITED;
    bytes[QB_CONTROL_BYTES - 1] = 'X';
    QB_EXPECT(!qb_control_read(bytes, QB_CONTROL_BYTES, &seen, &process), "no end of a text");
}
