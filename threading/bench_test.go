package threading

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/store/sqlite"
	"ticketgate/threading/message"
)

// BenchmarkTake files mails of 5 kB on SQLite, half of them new tickets and
// half replies, each told to one agent: matching, commit and all rows. With rules
// there are 50, as a desk has them: each looks, and few hold.
func BenchmarkTake(b *testing.B) {
	for _, sessions := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) { benchmarkTake(b, sessions, 0) })
	}
	b.Run("sessions=10,rules=50", func(b *testing.B) { benchmarkTake(b, 10, 50) })
}

// benchmarkRules makes rules of five kinds; of 50 the last holds at each mail.
func benchmarkRules(ctx context.Context, tx *store.Tx, n int) error {
	kinds := []string{
		`message.subject.lower().contains("invoice %d")`, `message.header("x-spam-flag") == ["YES %d"]`, `message.from_domain == "customer%d.example"`,
		`"Holding %d" in company.parents`, `ticket.new && message.text.matches("INC[0-9]{7}%d")`,
	}
	for i := range n {
		r := store.Rule{
			ID: store.NewID(), Name: fmt.Sprint(i), Active: true, Position: i, When: store.RuleOnIntake, Condition: fmt.Sprintf(kinds[i%len(kinds)], i),
			Actions: store.RuleActions{AddTags: []string{"t"}},
		}
		if i == n-1 {
			r.Condition = ""
		}
		if err := tx.PutRule(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func benchmarkTake(b *testing.B, sessions, rules int) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "desk.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s, err := New(Options{DB: db, Secrets: []string{"secret"}, Hostname: "mx.test.example"})
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := s.Setup(ctx, "admin@test.example"); err != nil {
		b.Fatal(err)
	}
	if err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if err := benchmarkRules(ctx, tx, rules); err != nil {
			return err
		}
		channel := desk.Channels[0].ID
		if err := tx.PutSubscription(ctx, store.Subscription{ChannelID: channel, AgentID: desk.Agents[0].ID, Type: store.SubscriptionStandard}); err != nil {
			return err
		}
		return tx.PutAccount(ctx, store.MailAccount{
			ID: store.NewID(), Name: "Support", Type: store.AccountTicket, Address: "support@test.example", Key: "support@test.example",
			DefaultChannelID: channel, Active: true, CreatedAt: time.Now(),
		})
	}); err != nil {
		b.Fatal(err)
	}
	body := strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 100)
	var count atomic.Int64
	b.SetParallelism((sessions + 1) / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := count.Add(1)
			header := ""
			if n%2 == 0 {
				header = fmt.Sprintf("In-Reply-To: <m%d@ext.example>\r\n", max(1, n-99))
			}
			raw := fmt.Appendf(nil, "From: Carla <carla%d@ext.example>\r\nTo: support@test.example\r\nSubject: mail %d\r\nMessage-ID: <m%d@ext.example>\r\n%s\r\n%s", n%100, n, n, header, body)
			in := Incoming{
				Raw: raw, Message: message.Parse(raw), From: "carla@ext.example", Recipients: []string{"support@test.example"},
				DeliveryID: store.NewID(), ReceivedAt: time.Now(), Auth: store.Auth{Verdict: store.Unverified},
			}
			if r := s.Take(ctx, in)[0]; r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	})
}
