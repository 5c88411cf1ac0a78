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
// half replies, each told to one agent: matching, commit and all rows.
func BenchmarkTake(b *testing.B) {
	for _, sessions := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) { benchmarkTake(b, sessions) })
	}
}

func benchmarkTake(b *testing.B, sessions int) {
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
