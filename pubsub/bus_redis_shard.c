#include "pubsub/bus_redis_shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/shard.h"

#define CHANNEL_BYTES 64
#define ID_DIGITS     16
#define ID_BYTES      8

/* Before a notice's bytes: version, flags, origin. */
#define HEAD_VERSION   1
#define HEAD_BYTES     (2 + ID_BYTES)
#define FLAG_PROTECTED 1

static const char *const kinds[] = {[QB_TOPIC_USER] = "user", [QB_TOPIC_LOG] = "log"};

static void channel_of(const struct shard *shard, struct qb_topic topic,
                       char channel[CHANNEL_BYTES])
{
    QB_ASSERT(topic.kind == QB_TOPIC_USER || topic.kind == QB_TOPIC_LOG);
    (void)snprintf(channel, CHANNEL_BYTES, "qb:{q%u}:%s:%016" PRIx64, shard->options.number,
                   kinds[topic.kind], topic.id);
}

static void counts_channel_of(const struct shard *shard, char channel[CHANNEL_BYTES])
{
    (void)snprintf(channel, CHANNEL_BYTES, "qb:{q%u}:watchers", shard->options.number);
}

static bool is_counts_channel(const struct shard *shard, const char *channel, size_t length)
{
    char expected[CHANNEL_BYTES];

    counts_channel_of(shard, expected);
    return strlen(expected) == length && memcmp(expected, channel, length) == 0;
}

/* False: no channel of this shard. */
static bool topic_of(const struct shard *shard, const char *channel, size_t length,
                     struct qb_topic *topic)
{
    char expected[CHANNEL_BYTES];
    uint8_t bytes[ID_BYTES];

    if (length < ID_DIGITS || !qb_hex_parse(&channel[length - ID_DIGITS], ID_DIGITS, bytes))
        return false;
    topic->id = 0;
    for (size_t i = 0; i < sizeof bytes; i++) topic->id = topic->id << 8 | bytes[i];
    for (unsigned kind = QB_TOPIC_USER; kind <= QB_TOPIC_LOG; kind++) {
        topic->kind = (uint8_t)kind;
        channel_of(shard, *topic, expected);
        if (strlen(expected) == length && memcmp(expected, channel, length) == 0)
            return qb_shard_of(topic->id, shard->options.shards) == shard->options.number;
    }
    return false;
}

/* ---- the connections ---- */

static void tell_log(const struct shard *shard, const char *link, const char *why)
{
    if (why != NULL)
        qb_log(QB_LOG_WARNING, "bus.down", QB_INT("shard", shard->options.number),
               QB_TEXT("link", link), QB_TEXT("why", why));
    else
        qb_log(QB_LOG_INFO, "bus.up", QB_INT("shard", shard->options.number),
               QB_TEXT("link", link));
}

/* A connection that hears cannot ask whether its server is still the primary, and one that
 * publishes may come back sooner: both belong to the same process. */
static void compare(struct shard *shard, struct qb_redis *other)
{
    bool are_up = shard->ear_run_id[0] != '\0' && shard->mouth_run_id[0] != '\0';

    if (are_up && strcmp(shard->ear_run_id, shard->mouth_run_id) != 0)
        qb_redis_drop(other, "the shard's other connection found another server");
}

static void on_ear_up(void *context, const char *run_id)
{
    struct shard *shard = context;

    (void)snprintf(shard->ear_run_id, sizeof shard->ear_run_id, "%s", run_id);
    atomic_store(&shard->deaf_since_us, 0);
    qb_metric_add(QB_METRIC_bus_deaf_shards, NULL, -1);
    tell_log(shard, "ear", NULL);
    shard->options.gap(shard->options.context, shard->options.number, false);
    compare(shard, shard->mouth);
}

static void on_ear_down(void *context, const char *why)
{
    struct shard *shard = context;
    bool has_heard = shard->ear_run_id[0] != '\0';

    shard->ear_run_id[0] = '\0';
    tell_log(shard, "ear", why);
    if (!has_heard) return;
    atomic_store(&shard->deaf_since_us, qb_clock_mono_us());
    qb_metric_add(QB_METRIC_bus_deaf_shards, NULL, 1);
    qb_metric_add(QB_METRIC_bus_gaps_total, NULL, 1);
    shard->options.gap(shard->options.context, shard->options.number, true);
}

static void on_mouth_up(void *context, const char *run_id)
{
    struct shard *shard = context;

    (void)snprintf(shard->mouth_run_id, sizeof shard->mouth_run_id, "%s", run_id);
    tell_log(shard, "mouth", NULL);
    compare(shard, shard->ear);
}

static void on_mouth_down(void *context, const char *why)
{
    struct shard *shard = context;

    shard->mouth_run_id[0] = '\0';
    tell_log(shard, "mouth", why);
}

/* ---- hearing ---- */

static void on_subscribed(void *context, const char *channel, size_t channel_length)
{
    struct shard *shard = context;
    struct qb_topic topic;

    if (topic_of(shard, channel, channel_length, &topic))
        shard->options.begun(shard->options.context, topic);
}

static void hear(struct shard *shard, struct qb_topic topic, const void *bytes, size_t length,
                 bool is_protected)
{
    struct qb_frame *frame = qb_frame_new(bytes, length);

    frame->is_protected = is_protected;
    qb_metric_add(QB_METRIC_bus_received_total, kinds[topic.kind], 1);
    shard->options.heard(shard->options.context, topic, frame);
    qb_frame_free(&frame);
}

static void on_message(void *context, const char *channel, size_t channel_length, const void *bytes,
                       size_t length)
{
    struct shard *shard = context;
    const uint8_t *head = bytes;
    struct qb_topic topic;
    uint64_t origin = 0;

    if (is_counts_channel(shard, channel, channel_length)) {
        shard->options.counts(shard->options.context, shard->options.number, bytes, length);
        return;
    }
    bool is_known = topic_of(shard, channel, channel_length, &topic);
    if (is_known && topic.kind == QB_TOPIC_LOG) {
        hear(shard, topic, bytes, length, false);
        return;
    }
    if (!is_known || length < HEAD_BYTES || head[0] != HEAD_VERSION) {
        qb_metric_add(QB_METRIC_bus_received_total, "unknown", 1);
        return;
    }
    (void)memcpy(&origin, &head[2], sizeof origin);
    if (origin == shard->options.origin) {
        qb_metric_add(QB_METRIC_bus_received_total, "own", 1);
        return;
    }
    hear(shard, topic, &head[HEAD_BYTES], length - HEAD_BYTES, (head[1] & FLAG_PROTECTED) != 0);
}

bool shard_hears(const struct shard *shard)
{
    return shard->ear_run_id[0] != '\0';
}

void shard_subscribe(struct shard *shard, struct qb_topic topic)
{
    char channel[CHANNEL_BYTES];

    channel_of(shard, topic, channel);
    qb_redis_subscribe(shard->ear, channel);
}

void shard_unsubscribe(struct shard *shard, struct qb_topic topic)
{
    char channel[CHANNEL_BYTES];

    channel_of(shard, topic, channel);
    qb_redis_unsubscribe(shard->ear, channel);
}

/* ---- publishing ---- */

static void on_published(void *context, const struct qb_redis_reply *reply)
{
    (void)context;
    if (reply == NULL || qb_redis_kind_of(reply) == QB_REDIS_ERROR)
        qb_metric_add(QB_METRIC_bus_unsent_total, NULL, 1);
}

void shard_publish(struct shard *shard, struct qb_topic topic, const struct qb_frame *frame)
{
    const char head[2] = {HEAD_VERSION, frame->is_protected ? FLAG_PROTECTED : 0};
    const uint64_t origin = shard->options.origin;
    char channel[CHANNEL_BYTES];
    struct qb_text *notice = &shard->notice;

    notice->length = 0;
    qb_text_add(notice, head, sizeof head);
    qb_text_add(notice, (const char *)&origin, sizeof origin);
    qb_text_add(notice, (const char *)frame->bytes, frame->length);
    channel_of(shard, topic, channel);
    const char *words[] = {"PUBLISH", channel, notice->bytes};
    const size_t lengths[] = {strlen(words[0]), strlen(channel), notice->length};
    qb_redis_command(shard->mouth, QB_COUNT(words), words, lengths, on_published, NULL);
}

/* ---- counts of watchers ---- */

void shard_subscribe_counts(struct shard *shard)
{
    char channel[CHANNEL_BYTES];

    counts_channel_of(shard, channel);
    qb_redis_subscribe(shard->ear, channel);
}

bool shard_publish_counts(struct shard *shard, const void *bytes, size_t length)
{
    char channel[CHANNEL_BYTES];

    counts_channel_of(shard, channel);
    const char *words[] = {"PUBLISH", channel, bytes};
    const size_t lengths[] = {strlen(words[0]), strlen(channel), length};
    if (!qb_redis_is_up(shard->mouth)) return false;
    qb_redis_command(shard->mouth, QB_COUNT(words), words, lengths, NULL, NULL);
    return true;
}

/* ---- opening and closing ---- */

bool shard_open(struct shard *shard, const struct shard_options *options, struct qb_error *error)
{
    struct qb_redis_options link = {
        .loop = options->loop,
        .address = options->address,
        .name = options->name,
        .connect_ms = options->connect_ms,
        .answer_ms = options->answer_ms,
        .context = shard,
    };

    shard->options = *options;
    shard->options.address = NULL; /* borrowed, as is the name */
    shard->options.name = NULL;
    link.up = on_mouth_up;
    link.down = on_mouth_down;
    shard->mouth = qb_redis_new(&link, error);
    if (shard->mouth == NULL) return false;
    link.is_subscriber = true;
    link.up = on_ear_up;
    link.down = on_ear_down;
    link.message = on_message;
    link.subscribed = on_subscribed;
    shard->ear = qb_redis_new(&link, error);
    QB_ASSERT(shard->ear != NULL); /* the same address */
    atomic_store(&shard->deaf_since_us, qb_clock_mono_us());
    qb_metric_add(QB_METRIC_bus_deaf_shards, NULL, 1);
    return true;
}

void shard_close(struct shard *shard)
{
    if (shard->ear != NULL && !shard_hears(shard))
        qb_metric_add(QB_METRIC_bus_deaf_shards, NULL, -1);
    qb_redis_free(&shard->ear);
    qb_redis_free(&shard->mouth);
    qb_text_fini(&shard->notice);
}
