#include "app/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/control_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"

#define CHANNEL      "qb:{q0}:control"
#define MESSAGES_MAX 10000

static bool take_ban(struct qb_control *control, qb_id user, bool is_banned)
{
    struct qb_holds *holds = control->options.holds;

    if (qb_holds_is_banned(holds, user) == is_banned) return false;
    qb_holds_ban(holds, user, is_banned);
    if (is_banned)
        control->options.end_sessions(control->options.context, 0, user, QB_CLOSE_BANNED);
    return true;
}

static bool take_revocation(struct qb_control *control, const struct qb_revocation *revocation)
{
    bool is_login = revocation->login != 0;

    if (!qb_revoked_learn(control->options.revoked, revocation, qb_clock_wall_us())) return false;
    control->options.end_sessions(control->options.context, revocation->login,
                                  is_login ? 0 : revocation->user,
                                  is_login ? QB_CLOSE_LOGGED_OUT : QB_CLOSE_ROLES_CHANGED);
    return true;
}

bool qb_control_take(struct qb_control *control, const struct qb_control_word *word)
{
    struct qb_holds *holds = control->options.holds;
    qb_id user = word->revocation.user;

    switch (word->kind) {
    case QB_CONTROL_REVOKED:
        return take_revocation(control, &word->revocation);
    case QB_CONTROL_BANNED:
        return take_ban(control, user, word->amount != 0);
    case QB_CONTROL_LIMITED:
        if (qb_holds_limit(holds, user, word->currency) == word->amount) return false;
        qb_holds_limit_set(holds, user, word->currency, word->amount);
        return true;
    case QB_CONTROL_DESCRIBED:
        qb_catalogue_forget(control->options.catalogue, user, (uint64_t)word->amount);
        return true;
    }
    return false;
}

static void want_read(struct qb_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    control->must_read = true;
    (void)pthread_cond_signal(&control->wanted);
    (void)pthread_mutex_unlock(&control->lock);
}

/* A subscriber cannot ask who its server is: when the other link has found another, it moves too.
 */
static void move_ears(struct qb_control *control)
{
    if (control->ears_run_id[0] == '\0' || control->mouth_run_id[0] == '\0') return;
    if (strcmp(control->ears_run_id, control->mouth_run_id) == 0) return;
    qb_redis_drop(control->ears, "the primary is another server");
}

static void ears_up(void *context, const char *run_id)
{
    struct qb_control *control = context;

    (void)snprintf(control->ears_run_id, sizeof control->ears_run_id, "%s", run_id);
    move_ears(control);
    /* What was said meanwhile was not heard. */
    qb_catalogue_forget_all(control->options.catalogue);
    want_read(control);
}

static void ears_down(void *context, const char *why)
{
    struct qb_control *control = context;

    control->ears_run_id[0] = '\0';
    qb_log(QB_LOG_WARNING, "control.deaf", QB_TEXT("why", why));
}

static void mouth_up(void *context, const char *run_id)
{
    struct qb_control *control = context;

    (void)snprintf(control->mouth_run_id, sizeof control->mouth_run_id, "%s", run_id);
    move_ears(control);
}

static void mouth_down(void *context, const char *why)
{
    struct qb_control *control = context;

    control->mouth_run_id[0] = '\0';
    qb_log(QB_LOG_WARNING, "control.mute", QB_TEXT("why", why));
}

static void hear(void *context, const char *channel, size_t channel_length, const void *bytes,
                 size_t length)
{
    struct qb_control *control = context;
    struct qb_control_word word;
    uint64_t process = 0;

    (void)channel;
    (void)channel_length;
    if (!qb_control_read(bytes, length, &word, &process)) {
        qb_metric_add(QB_METRIC_control_messages_total, "unknown", 1);
        return;
    }
    if (process == control->process) return;
    qb_metric_add(QB_METRIC_control_messages_total, "heard", 1);
    (void)pthread_mutex_lock(&control->lock);
    if (word.kind == QB_CONTROL_BANNED || word.kind == QB_CONTROL_LIMITED)
        qb_control_note(control, &word);
    (void)qb_control_take(control, &word);
    (void)pthread_mutex_unlock(&control->lock);
}

static void on_said(void *context, const struct qb_redis_reply *reply)
{
    bool is_said = reply != NULL && qb_redis_kind_of(reply) != QB_REDIS_ERROR;

    (void)context;
    qb_metric_add(QB_METRIC_control_messages_total, is_said ? "said" : "unsaid", 1);
}

static void say_here(void *context, void *message)
{
    const struct qb_control *control = context;
    const char *const words[] = {"PUBLISH", CHANNEL, message};
    const size_t lengths[] = {strlen("PUBLISH"), strlen(CHANNEL), QB_CONTROL_BYTES};

    qb_redis_command(control->mouth, 3, words, lengths, on_said, NULL);
    free(message);
}

/* The others read it in the store if this is lost. */
static void say(struct qb_control *control, const struct qb_control_word *word)
{
    if (control->loop == NULL) return;
    uint8_t *bytes = malloc(QB_CONTROL_BYTES);
    QB_ASSERT(bytes != NULL);
    qb_control_write(word, control->process, bytes);
    if (qb_mailbox_post(qb_loop_mailbox(control->loop), say_here, control, bytes)) return;
    qb_metric_add(QB_METRIC_control_messages_total, "unsaid", 1);
    free(bytes);
}

void qb_control_revoke(struct qb_control *control, const struct qb_revocation *revocation)
{
    const struct qb_control_word word = {.kind = QB_CONTROL_REVOKED, .revocation = *revocation};

    qb_revoked_add(control->options.revoked, revocation, qb_clock_wall_us());
    say(control, &word);
}

/* Noted and done as one: a read that ends in between would take it back. */
static void decide(struct qb_control *control, const struct qb_control_word *word)
{
    struct qb_holds *holds = control->options.holds;
    qb_id user = word->revocation.user;

    (void)pthread_mutex_lock(&control->lock);
    if (control->loop != NULL) qb_control_note(control, word);
    if (word->kind == QB_CONTROL_BANNED)
        qb_holds_ban(holds, user, word->amount != 0);
    else
        qb_holds_limit_set(holds, user, word->currency, word->amount);
    (void)pthread_mutex_unlock(&control->lock);
    say(control, word);
}

void qb_control_ban(struct qb_control *control, qb_id user, bool is_banned)
{
    const struct qb_control_word word = {
        .kind = QB_CONTROL_BANNED, .revocation.user = user, .amount = is_banned ? 1 : 0};

    decide(control, &word);
}

void qb_control_limit(struct qb_control *control, qb_id user, const char *currency, int64_t amount)
{
    struct qb_control_word word = {
        .kind = QB_CONTROL_LIMITED, .revocation.user = user, .amount = amount};

    (void)memcpy(word.currency, currency, QB_CURRENCY_BYTES);
    decide(control, &word);
}

void qb_control_described(struct qb_control *control, qb_id auction, uint64_t seq)
{
    const struct qb_control_word word = {
        .kind = QB_CONTROL_DESCRIBED, .revocation.user = auction, .amount = (int64_t)seq};

    qb_catalogue_forget(control->options.catalogue, auction, seq);
    say(control, &word);
}

static void *run(void *argument)
{
    struct qb_control *control = argument;

    qb_loop_run(control->loop);
    return NULL;
}

static void no_turn(void *context)
{
    (void)context;
}

/* False with `error` set: nothing was started. */
static bool connect_links(struct qb_control *control, struct qb_error *error)
{
    struct qb_redis_options link = {
        .loop = qb_loop_uv(control->loop),
        .address = control->options.address,
        .name = control->options.name,
        .up = mouth_up,
        .down = mouth_down,
        .context = control,
    };

    control->mouth = qb_redis_new(&link, error);
    if (control->mouth == NULL) return false;
    link.is_subscriber = true;
    link.up = ears_up;
    link.down = ears_down;
    link.message = hear;
    control->ears = qb_redis_new(&link, error);
    if (control->ears == NULL) return false;
    qb_redis_subscribe(control->ears, CHANNEL);
    return true;
}

static void close_loop(struct qb_control *control)
{
    (void)qb_mailbox_drain(qb_loop_mailbox(control->loop));
    qb_redis_free(&control->ears);
    qb_redis_free(&control->mouth);
    qb_loop_settle(control->loop);
    qb_loop_free(&control->loop);
}

static void control_fini(struct qb_control *control)
{
    qb_control_forget(control, INT64_MAX);
    qb_map_fini(&control->notes);
    (void)pthread_cond_destroy(&control->wanted);
    (void)pthread_mutex_destroy(&control->lock);
    free(control);
}

static void init(struct qb_control *control, const struct qb_control_options *options)
{
    control->options = *options;
    qb_random_secret(&control->process, sizeof control->process);
    (void)pthread_mutex_init(&control->lock, NULL);
    qb_control_notes_init(control);
    qb_condition_init(&control->wanted);
}

struct qb_control *qb_control_new(const struct qb_control_options *options, struct qb_error *error)
{
    struct qb_control *control = calloc(1, sizeof *control);
    const struct qb_loop_handlers handlers = {.turn = no_turn, .context = control};

    QB_ASSERT(control != NULL);
    init(control, options);
    if (options->address == NULL) return control;
    control->loop = qb_loop_new(MESSAGES_MAX);
    qb_loop_handle(control->loop, &handlers);
    if (!connect_links(control, error)) {
        close_loop(control);
        control_fini(control);
        return NULL;
    }
    control->options.address = NULL;
    control->options.name = NULL;
    int failed = pthread_create(&control->hearing, NULL, run, control);
    QB_ASSERT(failed == 0);
    failed = pthread_create(&control->reading, NULL, qb_control_reading, control);
    QB_ASSERT(failed == 0);
    return control;
}

void qb_control_free(struct qb_control **control)
{
    struct qb_control *old = *control;

    *control = NULL;
    if (old == NULL) return;
    if (old->loop != NULL) {
        (void)pthread_mutex_lock(&old->lock);
        old->must_end = true;
        (void)pthread_cond_signal(&old->wanted);
        (void)pthread_mutex_unlock(&old->lock);
        qb_loop_stop(old->loop);
        (void)pthread_join(old->hearing, NULL);
        (void)pthread_join(old->reading, NULL);
        close_loop(old);
    }
    control_fini(old);
}
