//! What has to be said: findings, the cases that collect them, and the outbox that delivers them.
