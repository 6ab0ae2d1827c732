package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// NotificationStore stores notifications.
type NotificationStore interface {
	// Notifications returns notifications, newest first, that are older than
	// the given one.
	Notifications(ctx context.Context, before uuid.UUID, limit int) ([]clair.NotificationSet, error)
	// NotificationPage returns rows of a notification that follow the given
	// row: those of a webhook, or all if webhook is "".
	NotificationPage(ctx context.Context, id uuid.UUID, webhook string, after uuid.UUID, limit int) (clair.NotificationPage, error)
	// DeleteNotification marks a notification as deleted by a webhook, or by
	// all that have received it if webhook is "".
	DeleteNotification(ctx context.Context, id uuid.UUID, webhook string) error
}

// Redeliverer delivers notifications again.
type Redeliverer interface {
	// Redeliver delivers a notification again to a webhook, or to all if
	// webhook is "".
	Redeliver(ctx context.Context, id uuid.UUID, webhook string) error
}

const (
	typeNotificationPage = "application/vnd.clair.notification_page.v1+json"
	// pageSize is the default number of rows of a page, as in Clair.
	pageSize = 500
	// maxPageSize is the maximum number of rows of a page, at about 2 KB a row.
	// A request for more gets this many and the key of the next page.
	maxPageSize = 2000
)

// pagePart describes a page of a list.
type pagePart struct {
	Size int    `json:"size"`
	Next string `json:"next,omitempty"`
}

// notificationPage is a page of the rows of a notification, as in Clair.
type notificationPage struct {
	Page          pagePart             `json:"page"`
	Notifications []clair.Notification `json:"notifications"`
}

// notificationList is a page of the list of notifications.
type notificationList struct {
	Page          pagePart                `json:"page"`
	Notifications []clair.NotificationSet `json:"notifications"`
}

// pageParams reads page_size and next. 0 is the default, as in Clair.
func pageParams(c echo.Context) (size int, next uuid.UUID, err error) {
	if text := c.QueryParam("page_size"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 0 {
			return 0, uuid.Nil, clair.Invalid("page_size", "%.40q: must be a number from 0", text)
		}
	}
	if size == 0 {
		size = pageSize
	}
	if text := c.QueryParam("next"); text != "" {
		if next, err = parseUUID("next", text); err != nil {
			return 0, uuid.Nil, err
		}
	}
	return size, next, nil
}

// getNotification answers with a page of the rows of a notification: those of
// the webhook in the path, or all if there is none.
func (s *Server) getNotification(c echo.Context) error {
	media, err := negotiate(c.Request(), typeNotificationPage, typeJSON)
	if err != nil {
		return err
	}
	webhook, id, err := notificationParams(c)
	if err != nil {
		return err
	}
	size, next, err := pageParams(c)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		rows, err := s.Notifications.NotificationPage(c.Request().Context(), id, webhook, next, min(size, maxPageSize))
		if err != nil {
			return err
		}
		out := notificationPage{Page: pagePart{Size: size}, Notifications: append([]clair.Notification{}, rows.Notifications...)}
		if rows.Next != uuid.Nil {
			out.Page.Next = rows.Next.String()
		}
		return answerJSON(c, http.StatusOK, media, out)
	})
}

// notificationParams returns the id at the end of the path, and the webhook
// before it if there is one.
func notificationParams(c echo.Context) (webhook string, id uuid.UUID, err error) {
	if id, err = uuidParam(c); err != nil {
		return "", uuid.Nil, err
	}
	before, _ := strings.CutPrefix(c.Request().URL.EscapedPath(), api.PathNotification+"/")
	parts := strings.Split(before, "/")
	if len(parts) > 1 {
		if webhook, err = url.PathUnescape(parts[len(parts)-2]); err != nil {
			return "", uuid.Nil, clair.Invalid("webhook", "invalid escape in %.80q", parts[len(parts)-2])
		}
	}
	return webhook, id, nil
}

func (s *Server) deleteNotification(c echo.Context) error {
	webhook, id, err := notificationParams(c)
	if err != nil {
		return err
	}
	if err := s.Notifications.DeleteNotification(c.Request().Context(), id, webhook); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// getNotifications lists notifications with the delivery state of each webhook.
func (s *Server) getNotifications(c echo.Context) error {
	size, next, err := pageParams(c)
	if err != nil {
		return err
	}
	n := min(size, maxPageSize)
	list, err := s.Notifications.Notifications(c.Request().Context(), next, n+1)
	if err != nil {
		return err
	}
	out := notificationList{Page: pagePart{Size: size}, Notifications: append([]clair.NotificationSet{}, list...)}
	if len(list) > n {
		out.Notifications = list[:n]
		out.Page.Next = list[n-1].ID.String()
	}
	return answerJSON(c, http.StatusOK, typeJSON, out)
}

// postRedeliver delivers a notification again, to one webhook or to all.
func (s *Server) postRedeliver(c echo.Context) error {
	id, err := parseUUID("id", c.Param("id"))
	if err != nil {
		return err
	}
	if s.Redeliverer == nil {
		return fmt.Errorf("%w: this server delivers no notifications", clair.ErrUnavailable)
	}
	if err := s.Redeliverer.Redeliver(c.Request().Context(), id, c.QueryParam("webhook")); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}
