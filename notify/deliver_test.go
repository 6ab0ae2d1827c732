package notify_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/quantity"
	"oriel/notify"
)

// set makes operations as affect does, and returns the notification of the
// second, whose deliveries have been attempted.
func (w *world) set(rows ...*clair.Vulnerability) clair.NotificationSet {
	w.Helper()
	op := w.affect(rows...)
	for _, s := range w.sets() {
		if s.Operation == op.Ref {
			return s
		}
	}
	require.Fail(w, "no notification of the operation")
	return clair.NotificationSet{}
}

// affect makes a first operation, and a second that affects the one manifest by
// the rows.
func (w *world) affect(rows ...*clair.Vulnerability) clair.UpdateResult {
	w.Helper()
	if len(rows) == 0 {
		rows = []*clair.Vulnerability{vuln("A", "p", "v1.5.0", clair.High)}
	}
	w.index(digest(1), "p", "v1.2.0")
	w.made++
	updater := fmt.Sprintf("u%d", w.made)
	w.update(updater)
	op := w.update(updater, rows...)
	w.planned()
	return op
}

func (w *world) receipt(id uuid.UUID, webhook string) clair.Receipt {
	w.Helper()
	for _, s := range w.sets() {
		for _, r := range s.Receipts {
			if s.ID == id && r.Webhook == webhook {
				return r
			}
		}
	}
	require.Fail(w, "no receipt", "of %s for %s", webhook, id)
	return clair.Receipt{}
}

func TestDeliver(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		rc := w.receiver(func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		w.start(config(notify.Webhook{
			Name:    "hook",
			URL:     rc.URL + "/in?a=b",
			Headers: map[string]string{"X-Token": "t0p"},
		}), nil)
		s := w.set()
		w.planned()
		require.Equal(t, clair.ReceiptDelivered, w.receipt(s.ID, "hook").Status)
		got := rc.deliveries()
		require.Len(t, got, 1)
		require.Equal(t, fmt.Sprintf(`{"notification_id":"%s","callback":"%s/%s"}`, s.ID, callbackBase, s.ID), got[0].body)
		require.Equal(t, "application/json", got[0].header.Get("Content-Type"))
		require.Equal(t, "t0p", got[0].header.Get("X-Token"))
		require.Equal(t, "oriel/test", got[0].header.Get("User-Agent"))
		require.Empty(t, got[0].header.Get("Authorization"))
		require.Empty(t, got[0].header.Get("Webhook-Signature"))
		w.stop()
		w.start(config(notify.Webhook{Name: "hook", URL: rc.URL}), nil)
		w.planned()
		w.set(vuln("B", "p", "", clair.High))
		w.planned()
		require.Len(t, rc.deliveries(), 2, "a restart delivers nothing twice")
	})
}

// A failing receiver is retried until it has the notification, and does not
// delay others.
func TestDeliver_Retries(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		failing := w.receiver(func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 3 {
				w.WriteHeader(http.StatusInternalServerError)
				fmt.Fprint(w, "the\ndisk is\x1b[31m full")
			}
		})
		hang := make(chan struct{})
		dead := w.receiver(func(_ int, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		})
		defer close(hang)
		well := w.receiver(nil)
		cfg := config(notify.Webhook{Name: "failing", URL: failing.URL}, notify.Webhook{Name: "dead", URL: dead.URL}, notify.Webhook{Name: "well", URL: well.URL})
		cfg.RetryMin, cfg.RetryMax = quantity.Duration(time.Second), quantity.Duration(2*time.Second)
		cfg.Timeout = quantity.Duration(time.Hour)
		w.start(cfg, nil)
		s := w.set()
		r := w.receipt(s.ID, "failing")
		require.Equal(t, 1, r.Attempts)
		require.Equal(t, clair.ReceiptFailed, r.Status)
		require.Equal(t, "the receiver answered 500 Internal Server Error: the disk is\ufffd[31m full", r.Error)
		require.False(t, r.NextAttempt.IsZero())
		w.after(5 * time.Second)
		require.Equal(t, clair.ReceiptDelivered, w.receipt(s.ID, "failing").Status)
		require.Equal(t, 4, w.receipt(s.ID, "failing").Attempts)
		require.Empty(t, w.receipt(s.ID, "failing").Error)
		require.Equal(t, clair.ReceiptDelivered, w.receipt(s.ID, "well").Status)
		require.Equal(t, clair.ReceiptCreated, w.receipt(s.ID, "dead").Status, "still hanging")
		require.Len(t, failing.deliveries(), 4)
		require.Len(t, well.deliveries(), 1)
	})
}

// Attempts are never further apart than retry_max, nor closer than half of it
// once they have slowed down.
func TestDeliver_Backoff(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var at []time.Time
		rc := w.receiver(func(_ int, rw http.ResponseWriter, _ *http.Request) {
			at = append(at, time.Now())
			rw.WriteHeader(http.StatusServiceUnavailable)
		})
		cfg := config(notify.Webhook{Name: "hook", URL: rc.URL})
		const least, most = 2 * time.Second, 9 * time.Second // which doubling does not meet
		cfg.RetryMin, cfg.RetryMax = quantity.Duration(least), quantity.Duration(most)
		w.start(cfg, nil)
		w.set()
		w.after(10 * time.Minute)
		w.stop()
		require.Greater(t, len(at), 60)
		for i := 1; i < len(at); i++ {
			gap, want := at[i].Sub(at[i-1]), min(least<<min(i-1, 8), most)
			require.LessOrEqual(t, gap, want+time.Millisecond, "after attempt %d", i)
			require.GreaterOrEqual(t, gap, want/2-time.Millisecond, "after attempt %d", i)
		}
	})
}

func TestDeliver_Signature(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		rc := w.receiver(nil)
		w.start(config(notify.Webhook{
			Name:   "hook",
			URL:    rc.URL,
			Secret: secret,
			Format: notify.FormatFull,
		}), nil)
		s := w.set()
		w.planned()
		got := rc.deliveries()
		require.Len(t, got, 1)
		require.Equal(t, s.ID.String(), got[0].header.Get("webhook-id"))
		wh, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, wh.Verify([]byte(got[0].body), got[0].header))
		require.Error(t, wh.Verify([]byte(got[0].body+" "), got[0].header))
		other, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret altogether")))
		require.NoError(t, err)
		require.Error(t, other.Verify([]byte(got[0].body), got[0].header))
	})
}

// The token is Clair's: HS256, from clair-notifier, for a minute.
func TestDeliver_Token(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		key := []byte("a shared key of some length")
		rc := w.receiver(nil)
		w.start(config(notify.Webhook{Name: "hook", URL: rc.URL}), func(o *notify.Options) {
			o.Authorization = func() (string, error) {
				now := time.Now()
				token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
					Issuer:    "clair-notifier",
					IssuedAt:  jwt.NewNumericDate(now),
					NotBefore: jwt.NewNumericDate(now.Add(-time.Minute)),
					ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
				}).SignedString(key)
				return "Bearer " + token, err
			}
		})
		w.set()
		w.planned()
		text, ok := strings.CutPrefix(rc.deliveries()[0].header.Get("Authorization"), "Bearer ")
		require.True(t, ok)
		token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer("clair-notifier"))
		require.NoError(t, err)
		require.True(t, token.Valid)
	})
}

func TestDeliver_Full(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		rc := w.receiver(nil)
		cfg := config(notify.Webhook{
			Name:   "hook",
			URL:    rc.URL,
			Format: notify.FormatFull,
		})
		cfg.Summary = false
		var places []clair.Place
		w.start(cfg, func(o *notify.Options) {
			o.NotCovered = func(context.Context) ([]clair.Place, error) { return places, nil }
		})
		var rows []*clair.Vulnerability
		for i := range 501 {
			rows = append(rows, vuln(fmt.Sprintf("A-%03d", i), "p", "v1.5.0", clair.High))
		}
		s := w.set(rows...)
		w.planned()
		var body struct {
			ID            uuid.UUID `json:"notification_id"`
			Callback      string
			Updater       string
			Page          struct{ Next uuid.UUID }
			Notifications []struct {
				ID            uuid.UUID
				Manifest      clair.Digest
				Reason        string
				Version       string `json:"installed_version"`
				Vulnerability map[string]any
			}
		}
		require.NoError(t, json.Unmarshal([]byte(rc.deliveries()[0].body), &body))
		require.Equal(t, s.ID, body.ID)
		require.Equal(t, callbackBase+"/"+s.ID.String(), body.Callback)
		require.Len(t, body.Notifications, 500)
		require.Equal(t, body.Notifications[499].ID, body.Page.Next)
		n := body.Notifications[0]
		require.Equal(t, []any{digest(1), "added", "v1.2.0", "A-000", "High", "v1.5.0", "u1"}, []any{
			n.Manifest, n.Reason, n.Version, n.Vulnerability["name"], n.Vulnerability["normalized_severity"], n.Vulnerability["fixed_in_version"], n.Vulnerability["updater"],
		})
		rest, err := w.db.NotificationPage(t.Context(), s.ID, "", body.Page.Next, 10)
		require.NoError(t, err)
		require.Equal(t, []string{"added A-500 p@v1.2.0 01"}, said(rest.Notifications))
		require.Contains(t, rc.deliveries()[0].body, `"not_covered":null`)

		places = []clair.Place{{Name: "alpine:3.23", Packages: 12, Reason: clair.NoFeed, Hint: "Enable alpine/v3.23-main."}}
		w.set()
		w.planned()
		require.Contains(t, rc.deliveries()[1].body,
			`"not_covered":[{"place":"alpine:3.23","packages":12,"reason":"no-feed","hint":"Enable alpine/v3.23-main."}]`)
	})
}

// A webhook's rule selects its rows before the summary is made.
func TestDeliver_Rules(t *testing.T) {
	rows := []*clair.Vulnerability{
		vuln("CRITICAL", "p", "", clair.Critical), vuln("HIGH", "p", "v1.5.0", clair.High), vuln("LOW", "p", "v1.3.0", clair.Low),
		vuln("MEDIUM", "p", "", clair.Medium),
	}
	for _, c := range []struct {
		name string
		hook notify.Webhook
		want []string
	}{
		{"everything", notify.Webhook{}, []string{"added CRITICAL p@v1.2.0 01", "added CRITICAL p@v1.2.0 02"}},
		{"only_fixed", notify.Webhook{OnlyFixed: true}, []string{"added HIGH p@v1.2.0 01", "added HIGH p@v1.2.0 02"}},
		{"only_kev", notify.Webhook{OnlyKEV: true}, []string{"added LOW p@v1.2.0 01", "added LOW p@v1.2.0 02"}},
		{"nothing_so_severe", notify.Webhook{OnlyFixed: true, MinSeverity: clair.Critical}, nil},
		{"severe_enough", notify.Webhook{MinSeverity: clair.High, OnlyFixed: true}, []string{"added HIGH p@v1.2.0 01", "added HIGH p@v1.2.0 02"}},
		{"updater", notify.Webhook{Updaters: []string{"x", "u*"}}, []string{"added CRITICAL p@v1.2.0 01", "added CRITICAL p@v1.2.0 02"}},
		{"other_updater", notify.Webhook{Updaters: []string{"x"}}, nil},
		{"manifest", notify.Webhook{Manifests: []string{"sha256:*2"}}, []string{"added CRITICAL p@v1.2.0 02"}},
		{"other_manifest", notify.Webhook{Manifests: []string{"sha512:*"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				rc := w.receiver(nil)
				w.index(digest(2), "p", "v1.2.0")
				c.hook.Name, c.hook.URL = "hook", rc.URL
				w.start(config(c.hook), func(o *notify.Options) {
					o.Exploited = func(_ context.Context, v *clair.Vulnerability) (bool, error) { return v.Name == "LOW", nil }
				})
				s := w.set(rows...)
				w.planned()
				require.Len(t, w.rows(s.ID, ""), 2, "all can be read by everyone")
				if c.want == nil {
					require.Empty(t, s.Receipts)
					return
				}
				got := rc.deliveries()
				require.Len(t, got, 1)
				if c.name != "everything" {
					require.Contains(t, got[0].body, fmt.Sprintf(`"callback":"%s/hook/%s"`, callbackBase, s.ID))
				}
				require.Equal(t, c.want, said(w.rows(s.ID, "hook")))
				require.EqualValues(t, len(c.want), w.receipt(s.ID, "hook").Rows)
			})
		})
	}
}

// A notification that a receiver deletes during its delivery stays deleted,
// and is not delivered again.
func TestDeliver_DeleteWins(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		first := w.receiver(func(n int, rw http.ResponseWriter, r *http.Request) {
			require.NoError(t, w.db.DeleteNotification(r.Context(), uuid.MustParse(r.Header.Get("Webhook-Id")), ""))
			if n == 1 {
				rw.WriteHeader(http.StatusInternalServerError) // it is done with it all the same
			}
		})
		cfg := config(notify.Webhook{
			Name:   "first",
			URL:    first.URL,
			Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		})
		w.start(cfg, nil)
		for n := range 2 {
			w.affect(vuln(fmt.Sprint("A", n), "p", "", clair.High))
			require.Len(t, first.deliveries(), n+1)
		}
		w.stop()
		for _, s := range w.sets() { // those that were not dropped yet
			require.True(t, s.Deleted)
			require.Equal(t, clair.ReceiptDeleted, s.Receipts[0].Status)
			require.Len(t, w.rows(s.ID, ""), 1, "it can be read until it is dropped")
		}
		require.Len(t, first.deliveries(), 2)
		w.start(cfg, nil)
		w.planned()
		require.Empty(t, w.sets(), "retention takes it")
		require.Len(t, first.deliveries(), 2)
	})
}

// A notification that one receiver has deleted is still delivered to the
// others.
func TestDeliver_DeleteIsOneReceivers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		quick := w.receiver(func(_ int, _ http.ResponseWriter, r *http.Request) {
			require.NoError(t, w.db.DeleteNotification(r.Context(), w.sets()[0].ID, ""))
		})
		var open sync.Mutex
		open.Lock()
		late := w.receiver(func(_ int, rw http.ResponseWriter, _ *http.Request) {
			if !open.TryLock() {
				rw.WriteHeader(http.StatusBadGateway)
				return
			}
			open.Unlock()
		})
		cfg := config(notify.Webhook{Name: "late", URL: late.URL})
		w.start(cfg, nil)
		s := w.set()
		require.Equal(t, clair.ReceiptFailed, w.receipt(s.ID, "late").Status)
		w.stop()
		require.ErrorIs(t, w.db.Redeliver(t.Context(), s.ID, "quick"), clair.ErrNotFound)

		others := w.net
		w = newWorld(t)
		w.net = others
		w.start(config(notify.Webhook{Name: "late", URL: late.URL}, notify.Webhook{Name: "quick", URL: quick.URL}), nil)
		s = w.set()
		require.Equal(t, clair.ReceiptDeleted, w.receipt(s.ID, "quick").Status)
		tried := len(late.deliveries())
		w.after(time.Hour)
		require.Greater(t, len(late.deliveries()), tried+1, "it is still told")
		open.Unlock()
		w.after(time.Hour)
		require.Equal(t, clair.ReceiptDelivered, w.receipt(s.ID, "late").Status)
		require.False(t, w.sets()[0].Deleted)
		require.NoError(t, w.db.DeleteNotification(t.Context(), s.ID, "late"))
		require.True(t, w.sets()[0].Deleted)
		require.ErrorIs(t, w.db.DeleteNotification(t.Context(), uuid.New(), ""), clair.ErrNotFound)
	})
}

func TestDeliver_GivesUpAndRedelivers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var well sync.Mutex
		well.Lock()
		rc := w.receiver(func(_ int, rw http.ResponseWriter, _ *http.Request) {
			if !well.TryLock() {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			well.Unlock()
		})
		cfg := config(notify.Webhook{Name: "hook", URL: rc.URL})
		cfg.GiveUp = quantity.Duration(time.Hour)
		n := w.start(cfg, nil)
		s := w.set()
		w.after(time.Hour)
		require.Equal(t, clair.ReceiptFailed, w.receipt(s.ID, "hook").Status)
		require.Zero(t, w.receipt(s.ID, "hook").NextAttempt)
		tried := len(rc.deliveries())
		require.Equal(t, tried, w.receipt(s.ID, "hook").Attempts)
		require.Equal(t, "given up: the receiver answered 503 Service Unavailable", w.receipt(s.ID, "hook").Error)
		require.ErrorIs(t, n.Redeliver(t.Context(), uuid.New(), ""), clair.ErrNotFound)
		require.ErrorIs(t, n.Redeliver(t.Context(), s.ID, "nobody"), clair.ErrNotFound)
		well.Unlock()
		require.NoError(t, n.Redeliver(t.Context(), s.ID, "hook"))
		w.planned()
		require.Equal(t, clair.ReceiptDelivered, w.receipt(s.ID, "hook").Status)
		require.Equal(t, 1, w.receipt(s.ID, "hook").Attempts)
		require.Len(t, rc.deliveries(), tried+1)
	})
}

// Delivered sets are dropped after a while, and pending ones are not. An
// operation is not announced again although nothing of its set is left.
func TestDeliver_Retention(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		rc := w.receiver(nil)
		cfg := config(notify.Webhook{Name: "hook", URL: rc.URL}, notify.Webhook{
			Name:        "dead",
			URL:         "http://127.0.0.1:1/",
			MinSeverity: clair.Critical,
		})
		cfg.Keep = quantity.Duration(time.Nanosecond)
		cfg.RetryMin, cfg.RetryMax = quantity.Duration(time.Hour), quantity.Duration(time.Hour)
		w.start(cfg, nil)
		w.set(vuln("A", "p", "", clair.Critical))
		require.Len(t, rc.deliveries(), 1)
		w.after(time.Second)
		w.set(vuln("B", "p", "", clair.High))
		require.Len(t, rc.deliveries(), 2)
		w.after(time.Second)
		w.planned()
		w.stop()
		w.start(cfg, nil)
		w.planned()
		require.Len(t, w.sets(), 1)
		require.Len(t, w.rows(w.sets()[0].ID, "dead"), 1)
		require.Contains(t, w.receipt(w.sets()[0].ID, "dead").Error, "the connection was refused")
		w.stop()
		cfg.Webhooks = cfg.Webhooks[:1]
		w.start(cfg, nil)
		w.planned()
		require.Empty(t, w.sets(), "nobody is there to be told any more")
		require.Len(t, rc.deliveries(), 2)
	})
}

// misbehave listens and answers each connection with the function.
func (w *world) misbehave(answer func(net.Conn)) string {
	w.Helper()
	l := w.net.listen(w.T)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(w.Context(), func() { c.Close() })
				defer stop()
				if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					answer(c)
				}
			})
		}
	})
	w.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "http://" + l.address
}

// drip writes a byte now and then, as long as anyone reads.
func drip(c net.Conn, text string) {
	for i := range text {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestDeliver_Endpoints(t *testing.T) {
	const headers = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	for _, c := range []struct {
		name   string
		answer func(net.Conn)
		status clair.ReceiptStatus
		error  string
		ends   bool
	}{
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, clair.ReceiptFailed, "no answer within 200ms", false},
		{"drips_its_headers", func(c net.Conn) { drip(c, headers+"X: "+strings.Repeat("x", 1000)) }, clair.ReceiptFailed, "no answer within 200ms", false},
		{"drips_its_body", func(c net.Conn) {
			fmt.Fprint(c, headers+"Content-Length: 4000\r\n\r\n")
			drip(c, strings.Repeat("x", 4000))
		}, clair.ReceiptDelivered, "", true},
		{"drips_a_refusal", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 No\r\nContent-Length: 4000\r\n\r\n")
			drip(c, strings.Repeat("x", 4000))
		}, clair.ReceiptFailed, "the receiver answered 500 Internal Server Error: x", false},
		{"hangs_up", func(net.Conn) {}, clair.ReceiptFailed, "the receiver closed the connection without an answer", false},
		{"no_http", func(c net.Conn) { fmt.Fprint(c, "220 mail.test ESMTP\r\n") }, clair.ReceiptFailed, "malformed HTTP", false},
		{"a_gigabyte", func(c net.Conn) {
			fmt.Fprint(c, headers+"Content-Length: 1073741824\r\n\r\n")
			for piece := make([]byte, 1<<16); ; {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		}, clair.ReceiptDelivered, "", true},
		{"a_gigabyte_of_refusal", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 No\r\n\r\n")
			for piece := []byte(strings.Repeat("no ", 1<<14)); ; {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		}, clair.ReceiptFailed, "the receiver answered 500 Internal Server Error: no no no", false},
		{"a_gigabyte_of_headers", func(c net.Conn) {
			fmt.Fprint(c, headers)
			for piece := []byte("X: " + strings.Repeat("x", 1<<12) + "\r\n"); ; {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		}, clair.ReceiptFailed, "", false},
		{"redirects_in_circles", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 307 There\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
		}, clair.ReceiptFailed, "redirects are not followed", false},
		{"gone", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n") },
			clair.ReceiptFailed, "given up: the receiver says that it is gone (410 Gone)", true},
		{"busy", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 429 Slow Down\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n")
		}, clair.ReceiptFailed, "429 Too Many Requests", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				cfg := config(notify.Webhook{Name: "hook", URL: w.misbehave(c.answer)})
				cfg.Timeout = quantity.Duration(200 * time.Millisecond)
				cfg.RetryMin, cfg.RetryMax = quantity.Duration(time.Hour), quantity.Duration(time.Hour)
				w.start(cfg, nil)
				s := w.set()
				w.after(200 * time.Millisecond)
				r := w.receipt(s.ID, "hook")
				require.Equal(t, c.status, r.Status, r.Error)
				require.Contains(t, r.Error, c.error)
				require.Equal(t, c.status == clair.ReceiptDelivered, r.Error == "")
				require.LessOrEqual(t, len(r.Error), 400)
				require.Equal(t, c.ends, r.NextAttempt.IsZero())
				if c.name == "busy" {
					require.Greater(t, r.NextAttempt.Sub(r.LastAttempt), 119*time.Minute)
				}
				w.stop()
			})
		})
	}
}
