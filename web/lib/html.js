// One door to the libraries: templates, components and signals.

import { Fragment, createContext, createRef, h, render } from "/vendor/preact.js";
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "/vendor/hooks.js";
import { Signal, batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from "/vendor/signals.js";
import htm from "/vendor/htm.js";

/** Templates of what is shown: html`<p>${text}</p>`. Texts are never read as HTML. */
export const html = htm.bind(h);

export {
  Fragment,
  Signal,
  batch,
  computed,
  createContext,
  createRef,
  effect,
  h,
  render,
  signal,
  untracked,
  useCallback,
  useComputed,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useSignal,
  useSignalEffect,
  useState,
};
