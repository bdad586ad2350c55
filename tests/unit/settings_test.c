/*
 * The settings: what is taken from where, and what a wrong one is told.
 */
#include "app/settings.h"
#include "tests/kit/test.h"

static struct qb_settings settings;
static struct qb_error error;

static bool read_with(const char *flag, const char *variable)
{
    char flags[2][128] = {"", ""};
    char variables[1][128] = {""};
    char *arguments[] = {flags[0], flags[1], NULL};
    char *environment[] = {variables[0], NULL};
    int count = 0;

    error.text[0] = '\0';
    if (flag != NULL) {
        const char *space = strchr(flag, ' ');
        size_t length = space != NULL ? (size_t)(space - flag) : strlen(flag);
        (void)snprintf(flags[0], sizeof flags[0], "%.*s", (int)length, flag);
        count = 1;
        if (space != NULL) (void)snprintf(flags[1], sizeof flags[1], "%s", space + 1);
        if (space != NULL) count = 2;
    }
    if (variable != NULL)
        (void)snprintf(variables[0], sizeof variables[0], "%s", variable);
    else
        environment[0] = NULL;
    return qb_settings_read(&settings, count, arguments, environment, &error);
}

QB_TEST(a_flag_wins_over_the_environment_and_that_over_the_default)
{
    QB_EXPECT(read_with(NULL, NULL), error.text);
    QB_EXPECT_EQ(settings.port, 4010, "the default");
    QB_EXPECT(read_with(NULL, "PORT=4011"), error.text);
    QB_EXPECT_EQ(settings.port, 4011, "the platform's name");
    QB_EXPECT(read_with("--port 4012", "PORT=4011"), error.text);
    QB_EXPECT_EQ(settings.port, 4012, "the flag");
    QB_EXPECT(read_with("--data-dir=/tmp/x", NULL), error.text);
    QB_EXPECT_TEXT(settings.data_dir, "/tmp/x", "with an equals sign");
    QB_EXPECT(read_with(NULL, "QUICKBID_DATA_DIR=/tmp/y"), error.text);
    QB_EXPECT_TEXT(settings.data_dir, "/tmp/y", "ours");
    QB_EXPECT(read_with(NULL, "QUICKBID_DATA_DIR="), error.text);
    QB_EXPECT_TEXT(settings.data_dir, "./data", "empty is unset");
}

QB_TEST(a_wrong_setting_says_which_why_and_the_nearest_name)
{
    static const struct {
        const char *flag;
        const char *variable;
        const char *said;
    } rows[] = {
        {"--prot 1", NULL, "--prot: no such flag; did you mean --port?"},
        {NULL, "QUICKBID_DATADIR=x",
         "QUICKBID_DATADIR: no such setting; did you mean QUICKBID_DATA_DIR?"},
        {"--ack disk", NULL, "--ack: \"disk\" is neither journal nor ledger"},
        {"--ack ledger", NULL,
         "--ack: ledger is of a cluster: set REDIS_URL, RABBITMQ_URL and DATABASE_URL, or leave it "
         "out to run alone"},
        {"--port 99999", NULL, "--port: 99999 is not between 0 and 65535"},
        {"--port 12x", NULL, "--port: \"12x\" is not a whole number"},
        {"--port", NULL, "--port: needs a value"},
        {"port", NULL, "\"port\" is not a flag; flags begin with --"},
        {NULL, "PORT=eighty", "PORT: \"eighty\" is not a whole number"},
        {"--trusted-proxies nginx", NULL,
         "--trusted-proxies: \"nginx\" is no address like 192.0.2.7 or 10.0.0.0/8"},
        {"--log-level loud", NULL, "--log-level: \"loud\" is none of debug, info, warning, error"},
    };

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        QB_EXPECT(!read_with(rows[i].flag, rows[i].variable), rows[i].said);
        QB_EXPECT_TEXT(error.text, rows[i].said, "what it says");
    }
}

QB_TEST(a_number_is_found_by_its_name)
{
    int64_t number = 0;

    QB_EXPECT(read_with("--port 4012", NULL), error.text);
    QB_EXPECT(qb_settings_number(&settings, "port", &number), "a number");
    QB_EXPECT_EQ(number, 4012, "as it was set");
    QB_EXPECT(!qb_settings_number(&settings, "host", &number), "a text");
    QB_EXPECT(!qb_settings_number(&settings, "redis_url", &number), "a secret");
    QB_EXPECT(!qb_settings_number(&settings, "ports", &number), "no setting");
}

QB_TEST(services_are_set_together_or_not_at_all)
{
    QB_EXPECT(!read_with(NULL, "REDIS_URL=redis://localhost"), "one of three");
    QB_EXPECT(strstr(error.text, "DATABASE_URL: not set") != NULL, "names the missing one");
    QB_EXPECT(!read_with("--redis-url redis://secret", NULL), "a secret is no flag");
    QB_EXPECT(strstr(error.text, "secret@") == NULL, "and is not repeated");
    char variables[3][64] = {"DATABASE_URL=postgresql://db", "REDIS_URL=redis://r0,redis://r1",
                             "RABBITMQ_URL=amqp://mq"};
    char *environment[] = {variables[0], variables[1], variables[2], NULL};
    QB_EXPECT(qb_settings_read(&settings, 0, NULL, environment, &error), error.text);
    QB_EXPECT(qb_settings_have_services(&settings), "all three");
    QB_EXPECT(read_with(NULL, NULL), error.text);
    QB_EXPECT(!qb_settings_have_services(&settings), "none");
}

QB_TEST(what_kubernetes_injects_is_no_mistake)
{
    QB_EXPECT(read_with(NULL, "QUICKBID_BACKEND_SERVICE_HOST=10.0.0.1"), error.text);
    QB_EXPECT(read_with(NULL, "QUICKBID_PORT=tcp://10.0.0.1:4010"), error.text);
    QB_EXPECT_EQ(settings.port, 4010, "and no port of ours");
    QB_EXPECT(read_with(NULL, "QUICKBID_PORT_4010_TCP_ADDR=10.0.0.1"), error.text);
}

QB_TEST(help_and_docs_name_every_setting)
{
    struct qb_text help = {0};
    struct qb_text docs = {0};

    qb_settings_help(&help);
    qb_settings_docs(&docs);
    QB_EXPECT(strstr(help.bytes, "--bids-per-minute") != NULL, "help");
    QB_EXPECT(strstr(docs.bytes, "`QUICKBID_PORT` or `PORT` | 4010 | 0–65535") != NULL, "docs");
    qb_text_fini(&help);
    qb_text_fini(&docs);
}
