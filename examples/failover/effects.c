#include "effects.h"

#include <hiredis/hiredis.h>
#include <string.h>
#include <sys/time.h>

/* A server that does not answer for so long is asked again: it does no harm. */
static const struct timeval answer_within = {1, 0};
#define RETRY_US (200 * 1000)

static const char make_script[] =
    "local done = redis.call('LLEN', KEYS[1]) "
    "if done == tonumber(ARGV[1]) then return redis.call('RPUSH', KEYS[1], ARGV[2]) end "
    "return done";

struct Effects {
  char *host, *password, *key;
  int port;
  redisContext *redis;
};

Effects *
effects_new (const char *host, int port, const char *password, const char *client) {
  Effects *effects = g_new0 (Effects, 1);
  effects->host = g_strdup (host);
  effects->port = port;
  effects->password = g_strdup (password);
  effects->key = g_strdup_printf ("effects:%s", client);
  return effects;
}

static void
disconnect (Effects *effects) {
  if (effects->redis) redisFree (effects->redis);
  effects->redis = NULL;
}

void
effects_free (Effects *effects) {
  disconnect (effects);
  g_free (effects->host);
  g_free (effects->password);
  g_free (effects->key);
  g_free (effects);
}

static gboolean
connected (Effects *effects) {
  if (effects->redis) return TRUE;
  effects->redis = redisConnectWithTimeout (effects->host, effects->port, answer_within);
  if (!effects->redis || effects->redis->err ||
      redisSetTimeout (effects->redis, answer_within) != REDIS_OK)
    return FALSE;
  if (!effects->password) return TRUE;
  redisReply *reply = redisCommand (effects->redis, "AUTH %s", effects->password);
  const gboolean good = reply && reply->type != REDIS_REPLY_ERROR;
  if (reply) freeReplyObject (reply);
  return good;
}

/* Until there is an answer. */
static guint64
ask (Effects *effects, int words, const char **word, const size_t *bytes) {
  for (;;) {
    if (connected (effects)) {
      redisReply *reply = redisCommandArgv (effects->redis, words, word, bytes);
      const gboolean good = reply && reply->type == REDIS_REPLY_INTEGER;
      const guint64 number = good ? (guint64)reply->integer : 0;
      if (reply) freeReplyObject (reply);
      if (good) return number;
    }
    disconnect (effects);
    g_usleep (RETRY_US);
  }
}

guint64
effects_count (Effects *effects) {
  const char *words[] = {"LLEN", effects->key};
  return ask (effects, G_N_ELEMENTS (words), words, NULL);
}

gboolean
effects_make (Effects *effects, guint64 sequence, GBytes *message) {
  gsize size = 0;
  const char *content = g_bytes_get_data (message, &size);
  g_autofree char *number = g_strdup_printf ("%" G_GUINT64_FORMAT, sequence);
  const char *words[] = {"EVAL", make_script, "1", effects->key, number, content ? content : ""};
  const size_t bytes[] = {4,   sizeof make_script - 1, 1, strlen (effects->key), strlen (number),
                          size};
  return ask (effects, G_N_ELEMENTS (words), words, bytes) > sequence;
}
