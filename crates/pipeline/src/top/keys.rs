//! Keys of the terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use tokio::sync::mpsc;
use top_view::Key;

/// Keys that wait to be taken; keys that are pressed faster are lost.
const WAITING: usize = 64;
/// Longest time until the thread notices that no keys are taken any more.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// An input of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A key was pressed.
    Key(Key),
    /// The size of the terminal has changed.
    Resize,
}

/// The inputs of the terminal, read by a thread of its own, since reading blocks.
#[derive(Debug)]
pub(super) struct Keys {
    inputs: mpsc::Receiver<Input>,
    is_over: Arc<AtomicBool>,
}

impl Keys {
    /// Starts the thread that reads.
    ///
    /// # Errors
    /// The operating system's error, if no thread can be started.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, inputs) = mpsc::channel(WAITING);
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match poll(LOOK_AGAIN).and_then(|has_come| if has_come { read().map(Some) } else { Ok(None) })
                {
                    Ok(event) => {
                        let _full = event.and_then(|event| input(&event)).map(|input| sender.try_send(input));
                    }
                    // The terminal is gone.
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self { inputs, is_over })
    }

    /// The next input; `None` if the terminal is gone. May be cancelled and called again.
    pub(super) async fn next(&mut self) -> Option<Input> {
        self.inputs.recv().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn input(event: &Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => self::key(*key).map(Input::Key),
        Event::Resize(..) => Some(Input::Resize),
        _ => None,
    }
}

fn key(KeyEvent { code, modifiers, .. }: KeyEvent) -> Option<Key> {
    let has_control = modifiers.contains(KeyModifiers::CONTROL);
    match code {
        KeyCode::Char('c' | 'C' | 'd') if has_control => Some(Key::Interrupt),
        KeyCode::Char(_) if has_control => None,
        KeyCode::Char(character) => Some(Key::Character(character)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Tab => Some(Key::Tab),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Home => Some(Key::Home),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_and_others_with_control_are_not_taken_for_it() {
        let plain = |code| key(KeyEvent::new(code, KeyModifiers::NONE));
        let control = |code| key(KeyEvent::new(code, KeyModifiers::CONTROL));
        assert_eq!(
            (plain(KeyCode::Char('q')), control(KeyCode::Char('q'))),
            (Some(Key::Character('q')), None)
        );
        assert_eq!((control(KeyCode::Char('c')), plain(KeyCode::F(1))), (Some(Key::Interrupt), None));
        let resized = input(&Event::Resize(1, 1));
        assert_eq!(resized, Some(Input::Resize));
    }
}
