package outbound

import (
	"context"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

func TestRedisKeysHoldNoContent(t *testing.T) {
	server := testbed.Redis(t)
	q := openTestQueue(t, server.URL())
	put(t, q, dueIn("d1", time.Hour), dueIn("d2", time.Hour), dueIn("d3", -time.Second))
	take(t, q, "w", time.Minute)
	if got := server.CLI("ZCARD", "ticketgate:outbound"); got != "2" {
		t.Errorf("ZCARD: %s", got)
	}
	for key := range strings.Lines(server.CLI("KEYS", "*")) {
		if !strings.HasPrefix(key, "ticketgate:outbound") {
			t.Errorf("a foreign key: %s", key)
		}
	}
	text := server.CLI("HGET", "ticketgate:outbound:entries", "d1")
	for _, want := range []string{`"delivery_id":"d1"`, `"ticket":10001`, `"account":"a"`, `"domain":"example.org"`, `"priority":1`, `"attempt":2`, `"due":`} {
		if !strings.Contains(text, want) {
			t.Errorf("the entry %s lacks %s", text, want)
		}
	}
	if strings.Contains(text, "@") {
		t.Errorf("an address stands in %s", text)
	}
}

func TestQueueComesBack(t *testing.T) {
	server := testbed.Redis(t)
	q := openTestQueue(t, server.URL())
	put(t, q, dueIn("d", -time.Second))

	server.Kill()
	if err := q.Put(t.Context(), dueIn("e", 0)); err == nil {
		t.Error("a dead server takes an entry")
	}
	server.Start()
	put(t, q, dueIn("f", -time.Second))
	if got := take(t, q, "w", time.Minute); got != "f" {
		t.Errorf("took %q from the empty server", got)
	}

	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := q.Put(ctx, dueIn("g", 0)); err == nil || time.Since(begin) > 2*time.Second {
		t.Errorf("a hanging server: %v after %v", err, time.Since(begin))
	}
	server.Resume()

	server.CLI("CONFIG", "SET", "maxmemory", "1")
	if err := q.Put(t.Context(), dueIn("h", 0)); err == nil {
		t.Error("a full server takes an entry")
	}
	server.CLI("CONFIG", "SET", "maxmemory", "0")
	put(t, q, dueIn("h", 0))

	advisor := q.(*redisQueue)
	if text := advisor.advice(t.Context()); text != "" {
		t.Errorf("advice without need: %s", text)
	}
	server.CLI("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	if text := advisor.advice(t.Context()); !strings.Contains(text, "noeviction") {
		t.Errorf("advice: %q", text)
	}
}

func TestRedisURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"embedded": true, "": true,
		"redis://127.0.0.1:1/0": true, "rediss://u:p@h:6380": true,
		"redis+sentinel://u:p@a:26379,b:26379/mymaster/2": true,
		"redis+cluster://a:7000,b:7000":                   true,
		"redis+sentinel://a:26379":                        false,
		"redis+sentinel://a:26379/m/x":                    false,
		"redis+other://a":                                 false,
		"memcached://a":                                   false,
		"redis://a:b:c:secret":                            false,
	} {
		q, err := OpenQueue(url, quietLog())
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the URL: %v", url, err)
		}
		if err == nil {
			if err := q.Close(); err != nil {
				t.Errorf("%s: Close: %v", url, err)
			}
		}
	}
}
