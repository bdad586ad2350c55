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
    bool forgets;           /* while it loads */
    atomic_bool *may_go_on; /* null: at once */
};

static struct qb_frame *load(void *context, qb_id auction, bool *do_keep)
{
    struct source *source = context;
    char text[2] = {(char)('0' + auction), '\0'};
    int number = ++source->loads;

    while (source->may_go_on != NULL && !*source->may_go_on) (void)usleep(1000);
    if (source->forgets) qb_catalogue_forget(source->catalogue, auction);
    if (source->is_passing) *do_keep = false;
    return number > source->fails ? qb_frame_new(text, 1) : NULL;
}

/* Asks, checks the answer and lets go of it. */
static void ask(struct source *source, qb_id auction, int64_t now_us, const char *says)
{
    struct qb_frame *frame = qb_catalogue_get(source->catalogue, auction, now_us, load, source);

    QB_EXPECT(frame != NULL && frame->bytes[0] == '0' + (char)auction, says);
    qb_frame_free(&frame);
}

QB_TEST(what_was_loaded_is_kept_for_its_life)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};
    int64_t hits = qb_metric_value(QB_METRIC_catalogue_reads_total, "hit");

    ask(&source, BIKE, 0, "loaded");
    ask(&source, BIKE, LIFE - 1, "kept");
    QB_EXPECT_EQ(source.loads, 1, "once");
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

QB_TEST(what_has_changed_is_loaded_anew)
{
    struct source source = {.catalogue = qb_catalogue_new(&OPTIONS)};

    ask(&source, BIKE, 0, "before");
    qb_catalogue_forget(source.catalogue, BIKE);
    source.forgets = true;
    ask(&source, BIKE, 0, "it changed");
    source.forgets = false;
    ask(&source, BIKE, 0, "it changed while it was loaded");
    QB_EXPECT_EQ(source.loads, 3, "each time");
    qb_catalogue_free(&source.catalogue);
}

QB_TEST(what_is_not_to_be_kept_or_not_there_is_asked_for_again)
{
    struct source source = {
        .catalogue = qb_catalogue_new(&OPTIONS), .fails = 1, .is_passing = true};

    QB_EXPECT(qb_catalogue_get(source.catalogue, BIKE, 0, load, &source) == NULL, "not there");
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

    QB_EXPECT(qb_catalogue_get(source->catalogue, BIKE, 0, load, source) == NULL, "nothing");
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
