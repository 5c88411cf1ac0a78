package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

// rounds is how often a daemon is killed; TICKETGATE_CRASH_ROUNDS asks for more.
func rounds(tb testing.TB) int {
	n, err := strconv.Atoi(os.Getenv("TICKETGATE_CRASH_ROUNDS"))
	if err != nil {
		return 6
	}
	tb.Logf("%d rounds", n)
	return n
}

// D02, Q11: a daemon that is killed at random moments under load loses nothing
// that it answered 250 and doubles nothing; answers that were accepted are
// sent, at most one copy more for each crash, with the same Message-ID.
func TestD02KilledUnderLoad(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { killedUnderLoad(t) })
	t.Run("PostgreSQL", func(t *testing.T) {
		killedUnderLoad(t, "STORE_URL="+testbed.SharedPostgres(t).NewDatabase(t), "REDIS_URL="+testbed.Redis(t).URL())
	})
}

func killedUnderLoad(t *testing.T, settings ...string) {
	sink := testbed.SMTPSink(t, testbed.SinkOptions{})
	n := newNode(t, append(settings, "OUTBOUND_SMARTHOST=smtp+insecure://"+sink.Addr())...)
	n.apply(deskFile)
	n.mustSend("carla@ext.example", plain("carla@ext.example", "answers", "answers@ext.example", "", "hello"))
	target := single(t, n.tickets()).Number
	l := &load{node: n, acked: map[string]bool{}}
	answered := 0
	for round := range rounds(t) {
		stop := l.begin(4)
		time.Sleep(time.Duration(50+rand.IntN(400)) * time.Millisecond) // the moment of the crash is meant to be random
		for range 3 {
			if status, _ := n.try("POST", fmt.Sprintf("/tickets/%d/activities", target), map[string]any{"type": "outgoing", "text": fmt.Sprintf("answer %d", round)}); status == 201 {
				answered++
			}
		}
		n.kill()
		stop()
		n.start()
	}
	l.redeliver(t)
	checkStored(t, n, l)
	checkSent(t, n, sink, target, answered)
}

// load sends mails until it is stopped, and notes which were answered 250.
type load struct {
	node *node

	mu    sync.Mutex // guards what follows
	next  int
	acked map[string]bool // by subject; false: no reply came, the MTA would send again
}

func (l *load) begin(sessions int) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
					l.one()
				}
			}
		})
	}
	return func() { close(quit); wg.Wait() }
}

func (l *load) one() {
	l.mu.Lock()
	l.next++
	subject := fmt.Sprintf("mail %d", l.next)
	l.acked[subject] = false
	l.mu.Unlock()
	code, _ := l.node.send("carla@ext.example", l.mail(subject))
	if code == 250 {
		l.mu.Lock()
		l.acked[subject] = true
		l.mu.Unlock()
	}
}

func (l *load) mail(subject string) string {
	return plain("carla@ext.example", subject, strings.ReplaceAll(subject, " ", "-")+"@ext.example", "", "hello "+subject)
}

// redeliver sends again what got no 250, as an MTA does; some of it is stored.
func (l *load) redeliver(t *testing.T) {
	t.Helper()
	for subject, acked := range l.acked {
		if !acked {
			l.node.mustSend("carla@ext.example", l.mail(subject))
		}
	}
}

func checkStored(t *testing.T, n *node, l *load) {
	t.Helper()
	stored := map[string]int{}
	for _, ticket := range n.tickets() {
		stored[ticket.Subject]++
	}
	acked := 0
	for subject, ok := range l.acked {
		if ok {
			acked++
		}
		if stored[subject] != 1 {
			t.Errorf("%q stands %d times (answered 250 before the redelivery: %v)", subject, stored[subject], ok)
		}
	}
	t.Logf("%d mails, %d of them answered 250 before a crash", len(l.acked), acked)
	if acked == 0 {
		t.Error("not one mail was taken: the test shows nothing")
	}
}

func checkSent(t *testing.T, n *node, sink *testbed.Sink, target int64, answered int) {
	t.Helper()
	var out []activity
	for _, a := range n.activities(target) {
		if a.Type == "outgoing" {
			out = append(out, a)
		}
	}
	if len(out) < answered {
		t.Errorf("%d answers stand in the ticket, %d were accepted", len(out), answered)
	}
	within(t, 120*time.Second, "all answers sent", func() bool {
		sent := answersIn(sink, "carla@ext.example")
		for _, a := range out {
			if sent["<"+a.MessageID+">"] == 0 {
				return false
			}
		}
		return true
	})
	extra := 0
	for _, copies := range answersIn(sink, "carla@ext.example") {
		extra += copies - 1
	}
	t.Logf("%d answers, %d copies more than one each", len(out), extra)
	if extra > rounds(t)*8 {
		t.Errorf("%d copies too many over %d crashes with 8 workers", extra, rounds(t))
	}
}

// D38: SIGTERM under load ends the daemon with 0, and nothing that it answered
// 250 is lost.
func TestD38Drain(t *testing.T) {
	n := newNode(t)
	n.apply(quietDesk)
	l := &load{node: n, acked: map[string]bool{}}
	stop := l.begin(4)
	time.Sleep(300 * time.Millisecond) // so that mail is under way
	code := n.stop()
	stop()
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	n.start()
	l.redeliver(t)
	checkStored(t, n, l)
}
