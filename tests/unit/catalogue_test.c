/*
 * The catalogue's cache: who loads, who waits, what goes.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "storage/catalogue.h"
#include "tests/kit/test.h"

enum { BIKE = 5, LAMP = 6, CHAIR = 7, LIFE = 100, THREADS = 8 };

static const struct qb_catalogue_options OPTIONS = {.entries_max = 2, .life_us = LIFE};

struct source {
    struct qb_catalogue *catalogue;
    atomic_int loads;
    int fails; /* so many loads give nothing */
    bool is_passing;
    uint64_t version;       /* that the loads bring; 0: 1 */
    uint64_t forgets;       /* a version that comes while it loads; 0: none */
    int64_t age_us;         /* of the newest answer */
    atomic_bool *may_go_on; /* null: at once */
};

static struct qb_frame *load(void *context, qb_id auction, uint64_t *version)
{
    struct source *source = context;
    char text[2] = {(char)('0' + auction), '\0'};
    int number = ++source->loads;

    while (source->may_go_on != NULL && !*source->may_go_on) (void)usleep(1000);
    if (source->forgets > 0) qb_catalogue_forget(source->catalogue, auction, source->forgets);
    if (!source->is_passing) *version = source->version > 0 ? source->version : 1;
    return number > source->fails ? qb_frame_new(text, 1) : NULL;
}

/* Asks, checks the answer and lets go of it. */
static void ask(struct source *source, qb_id auction, int64_t now_us, const char *says)
{
    struct qb_frame *frame =
        qb_catalogue_get(source->catalogue, auction, now_us, &source->age_us, load, source);

    QB_EXPECT(frame != NULL && frame->bytes[0] == '0' + (char)auction, says);
    qb_frame_free(&frame);
}

QB_TEST(what_was_loaded_is_kept_for_its_life)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};
    int64_t hits = qb_metric_value(QB_METRIC_catalogue_reads_total, "hit");

    ask(&source, BIKE, 0, "loaded");
    QB_EXPECT_EQ(source.age_us, 0, "new");
    ask(&source, BIKE, LIFE - 1, "kept");
    QB_EXPECT_EQ(source.loads, 1, "once");
    QB_EXPECT_EQ(source.age_us, LIFE - 1, "and how old it is");
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_catalogue_reads_total, "hit") - hits, 1, "counted");
    ask(&source, BIKE, LIFE, "anew");
    QB_EXPECT_EQ(source.loads, 2, "its life was over");
    ask(&source, BIKE, 2 * LIFE - 1, "kept");
    QB_EXPECT_EQ(source.loads, 2, "from the second load on");
    qb_catalogue_free(&source.catalogue);
}

QB_TEST(when_it_is_full_the_one_not_asked_for_longest_goes)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    ask(&source, BIKE, 0, "first");
    ask(&source, LAMP, 0, "second");
    ask(&source, BIKE, 0, "asked for again");
    ask(&source, CHAIR, 0, "in place of the lamp");
    QB_EXPECT_EQ(source.loads, 3, "three");
    ask(&source, BIKE, 0, "kept");
    QB_EXPECT_EQ(source.loads, 3, "kept");
    ask(&source, LAMP, 0, "gone");
    QB_EXPECT_EQ(source.loads, 4, "loaded anew");
    qb_catalogue_free(&source.catalogue);
}

/* What is there without a load, if anything. */
static bool has(struct source *source, qb_id auction, int64_t now_us)
{
    struct qb_frame *frame = qb_catalogue_find(source->catalogue, auction, now_us, &source->age_us);
    bool is_there = frame != NULL;

    qb_frame_free(&frame);
    return is_there;
}

QB_TEST(what_is_kept_is_found_without_a_load)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    QB_EXPECT(!has(&source, BIKE, 0), "nothing yet");
    ask(&source, BIKE, 0, "loaded");
    QB_EXPECT(has(&source, BIKE, LIFE - 1), "kept");
    QB_EXPECT_EQ(source.age_us, LIFE - 1, "its age");
    QB_EXPECT(!has(&source, BIKE, LIFE), "no longer");
    QB_EXPECT_EQ(source.loads, 1, "none of these loads");
    qb_catalogue_free(&source.catalogue);
}

QB_TEST(what_has_changed_is_loaded_anew)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    ask(&source, BIKE, 0, "before");
    qb_catalogue_forget(source.catalogue, BIKE, 1);
    QB_EXPECT(has(&source, BIKE, 0), "it is as of that version already");
    qb_catalogue_forget(source.catalogue, BIKE, 4);
    QB_EXPECT(!has(&source, BIKE, 0), "it changed");
    ask(&source, BIKE, 0, "from a database that does not know yet");
    QB_EXPECT_EQ(source.age_us, -1, "and others are not to keep it");
    QB_EXPECT(!has(&source, BIKE, 0), "that is not kept");
    source.version = 5;
    source.forgets = 5;
    ask(&source, BIKE, 0, "it changes while it is loaded");
    QB_EXPECT_EQ(source.age_us, -1, "nor this");
    QB_EXPECT(!has(&source, BIKE, 0), "that is not kept");
    source.forgets = 0;
    ask(&source, BIKE, 0, "then it is");
    QB_EXPECT_EQ(source.age_us, 0, "and may be kept");
    QB_EXPECT(has(&source, BIKE, 0), "kept");
    QB_EXPECT_EQ(source.loads, 4, "each time");
    qb_catalogue_free(&source.catalogue);
}

QB_TEST(a_change_is_known_before_anybody_has_asked)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    qb_catalogue_forget(source.catalogue, BIKE, 2);
    ask(&source, BIKE, 0, "outdated");
    QB_EXPECT(!has(&source, BIKE, 0), "and not kept");
    source.version = 2;
    ask(&source, BIKE, 0, "up to date");
    QB_EXPECT(has(&source, BIKE, 0), "kept");
    qb_catalogue_free(&source.catalogue);
}

QB_TEST(when_changes_may_have_been_missed_all_is_loaded_anew)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    ask(&source, BIKE, 0, "loaded");
    ask(&source, LAMP, 0, "loaded");
    qb_catalogue_forget_all(source.catalogue);
    QB_EXPECT(!has(&source, BIKE, 0) && !has(&source, LAMP, 0), "neither");
    ask(&source, BIKE, 0, "anew");
    QB_EXPECT(has(&source, BIKE, 0), "kept");
    qb_catalogue_free(&source.catalogue);
}

QB_TEST(what_is_not_to_be_kept_or_not_there_is_asked_for_again)
{
    struct source source = {
        .catalogue = qb_catalogue_new(&OPTIONS), .fails = 1, .is_passing = true};

    QB_EXPECT(qb_catalogue_get(source.catalogue, BIKE, 0, &source.age_us, load, &source) == NULL,
              "not there");
    ask(&source, BIKE, 0, "there");
    ask(&source, BIKE, 0, "not kept");
    QB_EXPECT_EQ(source.loads, 3, "three");
    qb_catalogue_free(&source.catalogue);
}

static void *ask_in_thread(void *context)
{
    ask(context, BIKE, 0, "an answer");
    return NULL;
}

/* Several ask at once; the load goes on when all do. */
static void ask_at_once(struct source *source)
{
    atomic_bool may_go_on = false;
    pthread_t threads[THREADS];

    /* cppcheck-suppress autoVariables ; the test outlives its use */
    source->may_go_on = &may_go_on;
    for (int i = 0; i < THREADS; i++) {
        QB_EXPECT_EQ(pthread_create(&threads[i], NULL, ask_in_thread, source), 0, "a thread");
    }
    (void)usleep(100000); /* most wait by now; it holds for those who come later, too */
    may_go_on = true;
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
}

QB_TEST(of_several_who_ask_at_once_one_loads)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    ask_at_once(&source);
    QB_EXPECT_EQ(source.loads, 1, "for all");
    qb_catalogue_free(&source.catalogue);
}

static void *ask_in_vain(void *context)
{
    struct source *source = context;

    QB_EXPECT(qb_catalogue_get(source->catalogue, BIKE, 0, &source->age_us, load, source) == NULL,
              "nothing");
    return NULL;
}

QB_TEST(a_failure_is_not_handed_on_to_those_who_waited)
{
    atomic_bool may_go_on = false;
    struct source failing = {
        .catalogue = qb_catalogue_new(&OPTIONS), .fails = 1, .may_go_on = &may_go_on};
    struct source other = {.catalogue = failing.catalogue};
    pthread_t first;
    pthread_t second;

    QB_EXPECT_EQ(pthread_create(&first, NULL, ask_in_vain, &failing), 0, "a thread");
    while (failing.loads == 0) (void)usleep(1000);
    QB_EXPECT_EQ(pthread_create(&second, NULL, ask_in_thread, &other), 0, "a thread");
    (void)usleep(50000); /* it waits by now, or comes later: it gets its answer either way */
    may_go_on = true;
    (void)pthread_join(first, NULL);
    (void)pthread_join(second, NULL);
    QB_EXPECT_EQ(other.loads, 1, "by its own load");
    qb_catalogue_free(&failing.catalogue);
}
