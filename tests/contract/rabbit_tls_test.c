/*
 * RabbitMQ by amqps:// with an authority of one's own, and several addresses of one cluster, on a
 * real broker: who may be the broker, what is said when it may not, and that the journal uses it.
 */
#define QB_TEST_RABBIT_PART "rabbitmq-tls"
#include "tests/kit/rabbit_world.h"

#define QUEUE "test.tls"
#define LARGE 300000

static const char *tls_url(void)
{
    (void)qb_test_rabbit_url(); /* started */
    return qb_stack_value("RABBITMQ_TLS_URL");
}

static const char *authority(void)
{
    (void)qb_test_rabbit_url(); /* started */
    return qb_stack_value("QUICKBID_RABBITMQ_CA_FILE");
}

/* The good address at another host, port or scheme: any of them null is as it was. */
static const char *changed_url(const char *scheme, const char *host, const char *port)
{
    static char url[512];
    char login[256];
    const char *good = tls_url();
    const char *at = strrchr(good, '@');
    const char *colon = strrchr(good, ':');

    (void)snprintf(login, sizeof login, "%.*s", (int)(at - strstr(good, "//") - 2),
                   strstr(good, "//") + 2);
    if (port == NULL) port = colon + 1; /* with the vhost */
    (void)snprintf(url, sizeof url, "%s://%s@%s:%s", scheme != NULL ? scheme : "amqps", login,
                   host != NULL ? host : "localhost", port);
    return url;
}

static struct qb_rabbit *made(const char *urls, const char *ca_file)
{
    const struct qb_rabbit_options options = {
        .urls = urls, .ca_file = ca_file, .name = "test", .heartbeat_s = 10};
    struct qb_error error = {""};
    struct qb_rabbit *rabbit = qb_rabbit_new(&options, &error);

    qb_must(rabbit != NULL, error.text);
    return rabbit;
}

/* It is refused, and the reason has `words`, and neither a password nor an unlimited wait. */
static void expect_refused(const char *urls, const char *ca_file, const char *words)
{
    struct qb_rabbit *rabbit = made(urls, ca_file);
    struct qb_error error = {""};
    char password[64];
    const char *good = tls_url();
    const char *from = strchr(strstr(good, "//"), ':') + 1;

    (void)snprintf(password, sizeof password, "%.*s", (int)(strchr(from, '@') - from), from);
    QB_EXPECT(!qb_rabbit_connect(rabbit, &error), words);
    QB_EXPECT(strstr(error.text, words) != NULL, error.text);
    QB_EXPECT(strstr(error.text, password) == NULL, "no secret");
    QB_EXPECT(!qb_rabbit_is_connected(rabbit), "not connected");
    qb_rabbit_free(&rabbit);
}

QB_TEST(a_broker_that_the_authority_vouches_for_is_used)
{
    static uint8_t bytes[LARGE];
    const struct qb_rabbit_queue queue = {.name = QUEUE};
    const struct qb_rabbit_message message = {"", QUEUE, 1, bytes, sizeof bytes};
    struct qb_rabbit_event event = {.kind = QB_RABBIT_NOTHING};
    struct qb_rabbit *rabbit = made(tls_url(), authority());
    struct qb_error error = {""};
    uint64_t tag = 0;

    (void)memset(bytes, 'x', sizeof bytes);
    qb_must(qb_rabbit_connect(rabbit, &error) && qb_rabbit_queue(rabbit, &queue, &error) &&
                qb_rabbit_confirms(rabbit, &error) &&
                qb_rabbit_consume(rabbit, QUEUE, 10, &error) &&
                qb_rabbit_publish(rabbit, &message, &tag, &error),
            error.text);
    bool is_confirmed = false;
    for (int i = 0; i < 100 && event.kind != QB_RABBIT_DELIVERED; i++) {
        qb_rabbit_wait(&rabbit, 1, -1, QB_SECOND_US / 10);
        qb_must(qb_rabbit_next(rabbit, &event, &error), error.text);
        if (event.kind == QB_RABBIT_CONFIRMED) is_confirmed = true;
    }
    QB_EXPECT_EQ(event.kind, QB_RABBIT_DELIVERED, "it comes back");
    QB_EXPECT(event.length == sizeof bytes && memcmp(event.bytes, bytes, sizeof bytes) == 0,
              "unchanged, over many records");
    if (is_confirmed) QB_EXPECT(qb_rabbit_ack(rabbit, event.tag, &error), error.text);
    qb_rabbit_free(&rabbit);
}

QB_TEST(a_broker_that_cannot_prove_who_it_is_is_refused)
{
    char stranger[256];
    const char *plain = NULL;

    (void)snprintf(stranger, sizeof stranger, "%.*sstranger.pem",
                   (int)(strlen(authority()) - strlen("ca.pem")), authority());
    expect_refused(tls_url(), stranger, "certificate");
    expect_refused(changed_url(NULL, "127.0.0.1", NULL), authority(), "host name");
    plain = strrchr(qb_stack_value("RABBITMQ_URL"), ':') + 1;
    expect_refused(changed_url(NULL, NULL, plain), authority(), "TLS");
    expect_refused(changed_url("amqp", NULL, NULL), NULL, "amqps://");
    expect_refused(tls_url(), "/nowhere/ca.pem", "/nowhere/ca.pem");
}

QB_TEST(a_journal_finds_the_address_that_serves_and_comes_back_to_it)
{
    char urls[1024];

    int length = snprintf(urls, sizeof urls, "%s,", changed_url(NULL, NULL, "1/quickbid"));
    (void)snprintf(&urls[length], sizeof urls - (size_t)length, "%s", tls_url());
    struct qb_journal_rabbit_options options = qb_test_rabbit_options(2);
    options.urls = urls;
    options.ca_file = authority();
    world_begin(&options); /* the leader's own connections, too */
    world_append_all(5);
    QB_EXPECT(world_flush(10 * QB_SECOND_US), "confirmed over TLS");
    QB_EXPECT_EQ(world_drain(QB_SECOND_US), (size_t)5 * AUCTIONS, "and read");
    qb_stack_rabbitmqctl("close_all_connections test");
    world_append_all(5);
    QB_EXPECT(world_flush(30 * QB_SECOND_US), "confirmed again");
    QB_EXPECT(world_drain(QB_SECOND_US) >= (size_t)5 * AUCTIONS, "and read again");
    QB_EXPECT_EQ(world_missing(world.appended), 0, "nothing is missing");
    world_end();
}
