package e2e

import (
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

// queued gives how many deliveries stand under ticketgate:outbound.
func queued(redis *testbed.RedisServer) string { return redis.CLI("ZCARD", "ticketgate:outbound") }

// Three answers wait in Redis while the smarthost is down, stand there again
// after FLUSHALL, and go out once each when it is back.
func TestQueueStandsInRedis(t *testing.T) {
	redis := testbed.Redis(t)
	sink := testbed.SMTPSink(t, testbed.SinkOptions{})
	sink.Stop()
	n := newNode(t, "REDIS_URL="+redis.URL(), "OUTBOUND_SMARTHOST=smtp+insecure://"+sink.Addr())
	n.apply(quietDesk) // only the answers wait
	n.mustSend("carla@ext.example", plain("carla@ext.example", "x", "1@ext.example", "", "hello"))
	number := single(t, n.tickets()).Number
	var answers []activity
	for range 3 {
		answers = append(answers, n.answer(number, "hello"))
	}
	within(t, 10*time.Second, "three entries", func() bool { return queued(redis) == "3" })
	redis.FlushAll()
	within(t, 35*time.Second, "three entries again after FLUSHALL", func() bool { return queued(redis) == "3" })
	for _, key := range strings.Fields(redis.CLI("KEYS", "*")) {
		if !strings.HasPrefix(key, "ticketgate:outbound") {
			t.Errorf("a key of ours is named %s", key)
		}
	}
	sink.Start()
	within(t, 120*time.Second, "three mails", func() bool { return len(answersIn(sink, "carla@ext.example")) == 3 })
	within(t, 30*time.Second, "nothing left", func() bool { return queued(redis) == "0" })
	for id, copies := range answersIn(sink, "carla@ext.example") {
		if copies != 1 {
			t.Errorf("%s was sent %d times", id, copies)
		}
	}
	for _, a := range answers {
		if rows := n.deliveries(number, a.ID); rows[0].State != "sent" {
			t.Errorf("ledger %+v", rows)
		}
	}
}

// Q02, Q03: Redis is stopped, flushed and started again while answers wait:
// all are sent, none twice, and with Redis down an answer is still accepted.
func TestQ02RedisComesAndGoes(t *testing.T) {
	redis := testbed.Redis(t)
	sink := testbed.SMTPSink(t, testbed.SinkOptions{})
	sink.Stop()
	n := newNode(t, "REDIS_URL="+redis.URL(), "OUTBOUND_SMARTHOST=smtp+insecure://"+sink.Addr())
	n.apply(deskFile)
	n.mustSend("carla@ext.example", plain("carla@ext.example", "x", "1@ext.example", "", "hello"))
	number := single(t, n.tickets()).Number
	const answers = 100
	for i := range answers {
		switch i {
		case 40:
			redis.Stop()
		case 60:
			redis.Start()
		case 80:
			redis.FlushAll()
		}
		n.answer(number, "hello")
	}
	sink.Start()
	within(t, 180*time.Second, "all answers", func() bool { return len(answersIn(sink, "carla@ext.example")) == answers })
	for id, copies := range answersIn(sink, "carla@ext.example") {
		if copies != 1 {
			t.Errorf("%s was sent %d times", id, copies)
		}
	}
}
