package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/store"
)

func (o *oriel) notificationsCommand() *cobra.Command {
	var redeliver, webhook string
	cmd := &cobra.Command{
		Use: "notifications", Short: "List notifications and how far each webhook has been told, or deliver one again", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if redeliver == "" {
				return o.listNotifications(cmd.Context())
			}
			return o.redeliver(cmd.Context(), redeliver, webhook)
		},
	}
	cmd.Flags().StringVar(&redeliver, "redeliver", "", "id of a notification to deliver again")
	cmd.Flags().StringVar(&webhook, "webhook", "", "deliver it to this webhook only")
	return cmd
}

// openReadOnly opens the database of a configuration for reading.
func (o *oriel) openReadOnly(ctx context.Context) (*store.DB, error) {
	cfg, _, err := o.config()
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, cfg.Store.Path, store.Options{ReadOnly: true, Memory: takeMemory(cfg).sqlite})
	if errors.Is(err, clair.ErrNotFound) {
		return nil, fmt.Errorf("%w: run \"oriel update\" first", err)
	}
	return db, err
}

// listNotifications prints all notifications there are, newest first, with a
// line for each webhook.
func (o *oriel) listNotifications(ctx context.Context) (err error) {
	db, err := o.openReadOnly(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := tabwriter.NewWriter(o.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NOTIFICATION\tDATE\tUPDATER\tROWS\tWEBHOOK\tSTATUS\tATTEMPTS\tNEXT\tERROR")
	const some = 200
	for last := uuid.Nil; ; {
		sets, err := db.Notifications(ctx, last, some)
		if err != nil {
			return err
		}
		for _, s := range sets {
			last = s.ID
			head := fmt.Sprintf("%s\t%s\t%s\t", s.ID, s.Date.Format(time.RFC3339), s.Updater)
			if len(s.Receipts) == 0 {
				fmt.Fprintf(w, "%s%d\t-\t-\t-\t-\t\n", head, s.Rows)
			}
			for _, r := range s.Receipts {
				next := "-"
				if !r.NextAttempt.IsZero() {
					next = r.NextAttempt.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s%d\t%s\t%s\t%d\t%s\t%s\n", head, r.Rows, r.Webhook, r.Status, r.Attempts, next, r.Error)
			}
		}
		if len(sets) < some {
			return w.Flush()
		}
	}
}

// redeliver makes a notification due again: in the database, or where a server
// has that, by asking it.
func (o *oriel) redeliver(ctx context.Context, text, webhook string) (err error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return usageError{clair.Invalid("redeliver", "%.60q is not the id of a notification", text)}
	}
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.Store.Path, store.Options{Schema: schema, Memory: takeMemory(cfg).sqlite, Log: log})
	if errors.Is(err, clair.ErrConflict) {
		return o.askToRedeliver(ctx, cfg, id, webhook)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Redeliver(ctx, id, webhook); err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "notification %s will be delivered again when the server runs\n", id)
	return nil
}

// askTime bounds a question to the running server.
const askTime = 30 * time.Second

// askToRedeliver asks the running server.
func (o *oriel) askToRedeliver(ctx context.Context, cfg *Config, id uuid.UUID, webhook string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	address := fmt.Sprintf("http://%s%s/%s/redeliver?webhook=%s", cfg.Listen, notifications, id, webhook)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return fmt.Errorf("ask the running server: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running server: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusAccepted {
		fmt.Fprintf(o.stdout, "notification %s is being delivered again\n", id)
		return nil
	}
	var said struct{ Message string }
	const most = 4 << 10
	text, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		said.Message = strings.TrimSpace(string(text))
	}
	return fmt.Errorf("the running server answered %s: %s", res.Status, cmp.Or(said.Message, "nothing more"))
}
